//! A corpus as one file: each input as its length in four bytes, the lowest first, and its bytes.

use std::fs;
use std::io;
use std::path::Path;

/// The inputs of a packed corpus; `None` if it is cut.
pub fn unpack(mut packed: &[u8]) -> Option<Vec<&[u8]>> {
    let mut inputs = Vec::new();
    while let Some((length, rest)) = packed.split_first_chunk::<4>() {
        let (input, rest) = rest.split_at_checked(u32::from_le_bytes(*length).try_into().ok()?)?;
        inputs.push(input);
        packed = rest;
    }
    packed.is_empty().then_some(inputs)
}

/// Packs `inputs` in order of length, then of bytes, each once, so that the same corpus gives the same file.
pub fn pack(mut inputs: Vec<Vec<u8>>) -> Vec<u8> {
    inputs.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    inputs.dedup();
    let mut packed = Vec::new();
    for input in inputs {
        let length = u32::try_from(input.len()).expect("an input of less than 4 GiB");
        packed.extend_from_slice(&length.to_le_bytes());
        packed.extend_from_slice(&input);
    }
    packed
}

/// The inputs that are files of `directory`.
///
/// # Errors
/// If it cannot be read.
pub fn read_directory(directory: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_file() {
            inputs.push(fs::read(path)?);
        }
    }
    Ok(inputs)
}

/// Writes each input as a file of `directory`, which is made if it is not there.
///
/// # Errors
/// If it cannot be written.
pub fn write_directory(directory: &Path, prefix: &str, inputs: &[&[u8]]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for (number, input) in inputs.iter().enumerate() {
        fs::write(directory.join(format!("{prefix}-{number:05}")), input)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corpus_is_packed_in_order_and_without_doubles() {
        let packed = pack(vec![b"bb".to_vec(), vec![], b"a".to_vec(), b"bb".to_vec()]);
        assert_eq!(unpack(&packed), Some(vec![&b""[..], b"a", b"bb"]));
        assert_eq!(unpack(&packed[..packed.len() - 1]), None);
        assert_eq!(unpack(&[1]), None);
    }
}
