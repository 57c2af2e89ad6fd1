# One static binary in an empty root, for every role.
FROM rust:1.90-bookworm AS build
WORKDIR /source
COPY . .
# Of functions that are the same one is kept where Rust links with lld, which can do that: 0.6 MB.
RUN host=$(rustc -vV | sed -n 's/^host: //p') && \
    case $host in x86_64-*) fold='-C link-arg=-Wl,--icf=all' ;; *) fold= ;; esac && \
    RUSTFLAGS="-C target-feature=+crt-static" \
    cargo rustc --profile dist --locked --target "$host" --package headwater --bin headwater -- $fold && \
    mkdir -p /root-of-image/tmp && \
    cp target/*/dist/headwater /root-of-image/headwater && \
    printf 'nonroot:x:65532:65532::/:/headwater\n' >/root-of-image/passwd

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Headwater" \
      org.opencontainers.image.description="A live-streaming CDN that is native to Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /root-of-image/passwd /etc/passwd
COPY --from=build /root-of-image/headwater /headwater
COPY --from=build --chown=65532:65532 /root-of-image/tmp /tmp
USER 65532:65532
# RTMP, HTTP-FLV, RTMP play, internal, operator, admin.
EXPOSE 1935 8080 1936 7000 7001 7100 9190
ENTRYPOINT ["/headwater"]
CMD ["up"]
