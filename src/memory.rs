//! What the roles may hold, fitted to the memory that the process may use.

use headwater_process::config::size;

use crate::config::Config;
use crate::exit::Exit;
use crate::role::Role;

/// What the process takes beside rings and viewers.
const OWN_BYTES: u64 = 64 << 20;
/// What a viewer takes beside its send buffer.
const VIEWER_BYTES: u64 = 3 << 10;
/// With less, a role has room for nothing.
const LEAST_BYTES: u64 = 128 << 20;

/// A role's part of the memory, and what of its settings has to give way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fitted {
    rings_bytes: u64,
    viewers: u64,
}

/// Rings give way to viewers until they have half of the memory; then viewers give way.
fn fitted(limit: u64, rings_bytes: u64, viewers: u64, each_bytes: u64) -> Fitted {
    let usable = limit.saturating_sub(OWN_BYTES);
    let beside_viewers = usable.saturating_sub(viewers.saturating_mul(each_bytes));
    let rings_bytes = rings_bytes.min(beside_viewers.max(usable / 2));
    let left = usable.saturating_sub(rings_bytes);
    let room = left.checked_div(each_bytes).unwrap_or(u64::MAX);
    Fitted {
        rings_bytes,
        viewers: viewers.min(room.max(1)),
    }
}

/// Lowers what the settings allow `roles` to hold to what fits `memory.limit`, and says so in the log.
pub(crate) fn fit(config: &mut Config, roles: &[Role]) -> Result<(), Exit> {
    let limit = config.memory.limit;
    let holders = |role: &&Role| matches!(role, Role::Origin | Role::Edge);
    let holders = u64::try_from(roles.iter().filter(holders).count()).unwrap_or(1);
    if limit == 0 || holders == 0 {
        return Ok(());
    }
    let part = limit.checked_div(holders).unwrap_or(limit);
    if part < LEAST_BYTES {
        return Err(Exit::usage(anyhow::anyhow!(
            "memory.limit is {}: origin and edge need {} each at least",
            size::format(limit),
            size::format(LEAST_BYTES)
        )));
    }
    if roles.contains(&Role::Origin) {
        let budget = &mut config.origin.ring_budget_bytes;
        let rings = lower("origin.ring_budget_bytes", part, bytes(*budget), 0, 0).rings_bytes;
        *budget = usize::try_from(rings).unwrap_or(*budget);
    }
    if roles.contains(&Role::Edge) {
        let edge = &mut config.edge;
        // Without a size of its own the kernel's buffer holds about what may wait unsent.
        let buffer = match edge.socket.send_buffer_bytes {
            0 => edge.socket.notsent_lowat_bytes,
            set => set,
        };
        let each = u64::from(buffer).saturating_add(VIEWER_BYTES);
        let (rings, viewers) = (bytes(edge.pull.rings_max_bytes), bytes(edge.limits.viewers));
        let fitted = lower("edge.pull.rings_max_bytes", part, rings, viewers, each);
        if fitted.viewers < viewers {
            tracing::warn!(
                limit = size::format(limit),
                setting = "edge.limits.viewers",
                was = viewers,
                is = fitted.viewers,
                "lowered to fit the memory: raise memory.limit, or lower the setting"
            );
        }
        edge.pull.rings_max_bytes = usize::try_from(fitted.rings_bytes).unwrap_or(usize::MAX);
        edge.limits.viewers = usize::try_from(fitted.viewers).unwrap_or(usize::MAX);
    }
    Ok(())
}

fn lower(setting: &str, limit: u64, rings: u64, viewers: u64, each: u64) -> Fitted {
    let fitted = fitted(limit, rings, viewers, each);
    if fitted.rings_bytes < rings {
        tracing::info!(
            setting,
            was = size::format(rings),
            is = fitted.rings_bytes,
            "lowered to fit the memory"
        );
    }
    fitted
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn rings_give_way_to_viewers_down_to_half_and_then_viewers_do() {
        for (name, limit_mib, rings_mib, viewers, is_rings_mib, is_viewers) in [
            ("all fits", 1_064, 256, 5_000, 256, 5_000),
            ("rings have little", 808, 256, 4_000, 256, 3_904),
            ("rings give way", 864, 1_024, 2_000, 550, 2_000),
            ("both do", 264, 1_024, 20_000, 100, 800),
        ] {
            // 125 KiB and 3 KiB: eight viewers a MiB.
            let fitted = fitted(limit_mib * MIB, rings_mib * MIB, viewers, 128 << 10);
            assert_eq!(fitted.viewers, is_viewers, "{name}");
            assert_eq!(fitted.rings_bytes / MIB, is_rings_mib, "{name}");
        }
    }
}
