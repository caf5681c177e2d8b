// Command image makes the image of a release: for each platform the binary and
// nothing else, as roots are embedded in it. The same binaries, version,
// revision and time make the same bytes, without a container engine.
//
//	image -dist DIST -version VERSION -revision COMMIT -created SECONDS -out DIRECTORY
//
// writes an image layout (https://github.com/opencontainers/image-spec), which
// crane pushes; with -docker FILE -platform linux/amd64, what docker load reads;
// with -sbom FILE, a bill of materials.
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const home = "https://github.com/ephemeral-ci/jfrog-token"

func main() {
	log.SetFlags(0)
	dist := flag.String("dist", "dist", "directory of the binaries")
	version := flag.String("version", "dev", "version")
	revision := flag.String("revision", "unknown", "commit")
	created := flag.Int64("created", 0, "time of the commit, in seconds since 1970")
	out := flag.String("out", "", "directory for the image layout")
	docker := flag.String("docker", "", "file for docker load, with the image of -platform alone")
	platform := flag.String("platform", "linux/amd64", "platform of -docker")
	materials := flag.String("sbom", "", "file for the bill of materials")
	flag.Parse()

	at := time.Unix(*created, 0).UTC()
	labels := map[string]string{
		"org.opencontainers.image.title":         "jfrog-token",
		"org.opencontainers.image.description":   "A short-lived, scoped JFrog access token for one CI job",
		"org.opencontainers.image.url":           home,
		"org.opencontainers.image.source":        home,
		"org.opencontainers.image.documentation": home + "/blob/main/docs/ci.md",
		"org.opencontainers.image.licenses":      "Apache-2.0",
		"org.opencontainers.image.vendor":        "ephemeral-ci",
		"org.opencontainers.image.version":       *version,
		"org.opencontainers.image.revision":      *revision,
	}
	if *docker != "" {
		tag, err := name.NewTag("jfrog-token:ci")
		check(err)
		check(tarball.WriteToFile(*docker, tag, image(*dist, *platform, labels, at)))
	}
	if *materials != "" {
		sbom(filepath.Join(*dist, "jfrog-token-linux-amd64"), *version, *materials)
	}
	if *out != "" {
		index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
		for _, p := range []string{"linux/amd64", "linux/arm64"} {
			platform, err := v1.ParsePlatform(p)
			check(err)
			index = mutate.AppendManifests(index, mutate.IndexAddendum{
				Add: image(*dist, p, labels, at), Descriptor: v1.Descriptor{Platform: platform},
			})
		}
		index = mutate.Annotations(index, labels).(v1.ImageIndex)
		_, err := layout.Write(*out, index)
		check(err)
		digest, err := index.Digest()
		check(err)
		log.SetOutput(os.Stdout)
		log.Print(digest)
	}
}

func image(dist, platform string, labels map[string]string, created time.Time) v1.Image {
	goos, goarch, _ := strings.Cut(platform, "/")
	binary, err := os.ReadFile(filepath.Join(dist, "jfrog-token-"+goos+"-"+goarch))
	check(err)
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		err := w.WriteHeader(&tar.Header{Name: "jfrog-token", Mode: 0o755, Size: int64(len(binary)), ModTime: created, Format: tar.FormatUSTAR})
		if err == nil {
			_, err = w.Write(binary)
		}
		if err == nil {
			err = w.Close()
		}
		return io.NopCloser(&b), err
	}, tarball.WithMediaType(types.OCILayer))
	check(err)
	i, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), layer)
	check(err)
	// No user: the workspaces of Drone, Woodpecker and Harness belong to root, and so do the steps that read the env file.
	// The binary runs as any other user that may write to the workspace: docker run --user 65532.
	i, err = mutate.ConfigFile(i, &v1.ConfigFile{
		OS: goos, Architecture: goarch, Created: v1.Time{Time: created},
		Config:  v1.Config{Entrypoint: []string{"/jfrog-token"}, Labels: labels},
		RootFS:  must(i.ConfigFile()).RootFS,
		History: []v1.History{{Created: v1.Time{Time: created}, CreatedBy: "jfrog-token, the binary of the release"}},
	})
	check(err)
	return i
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		log.Fatalf("make image: %v", err)
	}
}
