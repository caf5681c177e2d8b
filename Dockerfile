# The image holds the binary of a release and nothing else: .ci/dist makes it, roots are embedded in it.
#
#   .ci/dist linux/amd64 && docker build --build-arg TARGETARCH=amd64 --tag jfrog-token .
FROM scratch
# BuildKit sets it for each platform of an image.
ARG TARGETARCH
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="jfrog-token" \
      org.opencontainers.image.description="A short-lived, scoped JFrog access token for one CI job" \
      org.opencontainers.image.url="https://github.com/ephemeral-ci/jfrog-token" \
      org.opencontainers.image.source="https://github.com/ephemeral-ci/jfrog-token" \
      org.opencontainers.image.documentation="https://github.com/ephemeral-ci/jfrog-token/blob/main/docs/ci.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="ephemeral-ci" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY dist/jfrog-token-linux-${TARGETARCH} /jfrog-token
# No USER: Drone's, Woodpecker's and Harness' workspaces belong to root, and so do the steps that read the env file. The
# binary runs as any other user where the workspace can be written to: docker run --user 65532.
ENTRYPOINT ["/jfrog-token"]
