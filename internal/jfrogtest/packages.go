package jfrogtest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"sync"
	"time"
)

// repository is a local repository of Artifactory.
type repository struct {
	key, kind    string
	files        map[string][]byte // what is stored, by path
	index        map[string]string // what the API of its package type answers besides; {{base}} is the platform's URL
	manifestType string            // of images
}

// made is when everything here was made: the packages are the same in every run.
var made = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const madeISO = "2026-01-02T03:04:05.000Z"

// repositories has one for each package type, with one tiny package in it. Only the generic one can be written to.
func repositories() []*repository {
	generic := &repository{key: "generic-local", kind: "Generic", files: map[string][]byte{"hello.txt": []byte("hello\n")}}
	return append([]*repository{generic}, packages()...)
}

// packages are made once, as to compress them takes longer than all else of a platform.
var packages = sync.OnceValue(makePackages)

func makePackages() []*repository {
	chart := tarball("acme-hello/Chart.yaml", "apiVersion: v2\nname: acme-hello\nversion: 1.0.0\n",
		"acme-hello/templates/hello.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: acme-hello\n")
	layer := tarred("hello.txt", "hello\n")
	config := map[string]any{
		"architecture": "amd64", "os": "linux", "created": made, "config": struct{}{},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + checksum("sha256", layer)}},
		"history": []any{map[string]any{"created": made, "created_by": "jfrogtest"}},
	}
	return []*repository{
		npmRepository(),
		pypiRepository(),
		goRepository(),
		mavenRepository(),
		helmRepository(chart),
		terraformRepository(),
		imageRepository("docker-local", "Docker", "application/vnd.docker.distribution.manifest.v2+json",
			imagePart{"application/vnd.docker.container.image.v1+json", []byte(marshal(config))},
			imagePart{"application/vnd.docker.image.rootfs.diff.tar.gzip", gzipped(layer)}),
		imageRepository("helmoci-local", "HelmOCI", "application/vnd.oci.image.manifest.v1+json",
			imagePart{"application/vnd.cncf.helm.config.v1+json",
				[]byte(`{"apiVersion":"v2","name":"acme-hello","version":"1.0.0"}`)},
			imagePart{"application/vnd.cncf.helm.chart.content.v1.tar+gzip", chart}),
	}
}

func npmRepository() *repository {
	const file = "acme-hello/-/acme-hello-1.0.0.tgz"
	data := tarball("package/package.json", `{"name":"acme-hello","version":"1.0.0","main":"index.js"}`,
		"package/index.js", "module.exports = 'hello'\n")
	version := map[string]any{"name": "acme-hello", "version": "1.0.0", "main": "index.js", "dist": map[string]string{
		"tarball": "{{base}}/artifactory/api/npm/npm-local/" + file, "shasum": checksum("sha1", data),
		"integrity": "sha512-" + base64.StdEncoding.EncodeToString(digest("sha512", data)),
	}}
	return &repository{key: "npm-local", kind: "Npm", files: map[string][]byte{file: data}, index: map[string]string{
		"acme-hello": marshal(map[string]any{
			"_id": "acme-hello", "name": "acme-hello", "dist-tags": map[string]string{"latest": "1.0.0"},
			"versions": map[string]any{"1.0.0": version},
		}),
	}}
}

func pypiRepository() *repository {
	const (
		dir  = "acme-hello/1.0.0/"
		file = "acme_hello-1.0.0-py3-none-any.whl"
		info = "acme_hello-1.0.0.dist-info/"
	)
	files := []string{
		"acme_hello/__init__.py", "HELLO = 'hello'\n",
		info + "METADATA", "Metadata-Version: 2.1\nName: acme-hello\nVersion: 1.0.0\n",
		info + "WHEEL", "Wheel-Version: 1.0\nGenerator: jfrogtest\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
	}
	record := ""
	for i := 0; i < len(files); i += 2 {
		sum := base64.RawURLEncoding.EncodeToString(digest("sha256", []byte(files[i+1])))
		record += fmt.Sprintf("%s,sha256=%s,%d\n", files[i], sum, len(files[i+1]))
	}
	data := zipped(append(files, info+"RECORD", record+info+"RECORD,,\n")...)
	page := func(href, text string) string {
		return fmt.Sprintf("<!DOCTYPE html>\n<html><head><title>Simple Index</title></head>"+
			"<body><a href=%q>%s</a></body></html>\n", href, text)
	}
	index := map[string]string{
		"simple":            page("acme-hello/", "acme-hello"),
		"simple/acme-hello": page("../../"+dir+file+"#sha256="+checksum("sha256", data), file),
	}
	return &repository{key: "pypi-local", kind: "Pypi", files: map[string][]byte{dir + file: data}, index: index}
}

func goRepository() *repository {
	const (
		at   = "acme.test/hello/@v/"
		mod  = "module acme.test/hello\n\ngo 1.21\n"
		root = "acme.test/hello@v1.0.0/"
	)
	info := marshal(map[string]any{"Version": "v1.0.0", "Time": made})
	return &repository{key: "go-local", kind: "Go", files: map[string][]byte{
		at + "v1.0.0.info": []byte(info), at + "v1.0.0.mod": []byte(mod),
		at + "v1.0.0.zip": zipped(root+"go.mod", mod, root+"hello.go", "package hello\n\nconst Hello = \"hello\"\n"),
	}, index: map[string]string{at + "list": "v1.0.0\n", "acme.test/hello/@latest": info}}
}

func mavenRepository() *repository {
	pom := func(artifact, packaging string) []byte {
		return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>com.acme</groupId>
  <artifactId>%s</artifactId>
  <version>1.0.0</version>
  <packaging>%s</packaging>
</project>
`, artifact, packaging)
	}
	const metadata = `<?xml version="1.0" encoding="UTF-8"?>
<metadata>
  <groupId>com.acme</groupId>
  <artifactId>acme-hello</artifactId>
  <versioning><latest>1.0.0</latest><release>1.0.0</release><versions><version>1.0.0</version></versions></versioning>
</metadata>
`
	jar := zipped("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n", "hello.txt", "hello\n")
	return &repository{key: "maven-local", kind: "Maven", files: map[string][]byte{
		"com/acme/acme-parent/1.0.0/acme-parent-1.0.0.pom": pom("acme-parent", "pom"),
		"com/acme/acme-hello/maven-metadata.xml":           []byte(metadata),
		"com/acme/acme-hello/1.0.0/acme-hello-1.0.0.pom":   pom("acme-hello", "jar"),
		"com/acme/acme-hello/1.0.0/acme-hello-1.0.0.jar":   jar,
	}}
}

func helmRepository(chart []byte) *repository {
	index := fmt.Sprintf(`apiVersion: v1
entries:
  acme-hello:
  - apiVersion: v2
    name: acme-hello
    version: 1.0.0
    digest: %s
    created: %q
    urls:
    - acme-hello-1.0.0.tgz
generated: %q
`, checksum("sha256", chart), madeISO, madeISO)
	return &repository{key: "helm-local", kind: "Helm", files: map[string][]byte{
		"index.yaml": []byte(index), "acme-hello-1.0.0.tgz": chart,
	}}
}

func terraformRepository() *repository {
	return &repository{key: "terraform-local", kind: "Terraform", files: map[string][]byte{
		"acme/hello/generic/1.0.0.zip": zipped("main.tf", "output \"hello\" {\n  value = \"hello\"\n}\n"),
	}}
}

type imagePart struct {
	mediaType string
	data      []byte
}

// imageRepository has one image of one layer, acme-hello:1.0.0.
func imageRepository(key, kind, manifestType string, config, layer imagePart) *repository {
	const dir = "acme-hello/1.0.0/"
	files := map[string][]byte{}
	blob := func(part imagePart) map[string]any {
		sum := checksum("sha256", part.data)
		files[dir+"sha256__"+sum] = part.data
		return map[string]any{"mediaType": part.mediaType, "digest": "sha256:" + sum, "size": len(part.data)}
	}
	files[dir+"manifest.json"] = []byte(marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": blob(config), "layers": []any{blob(layer)},
	}))
	return &repository{key: key, kind: kind, files: files, manifestType: manifestType}
}

func digest(algorithm string, data []byte) []byte {
	switch algorithm {
	case "md5":
		sum := md5.Sum(data)
		return sum[:]
	case "sha1":
		sum := sha1.Sum(data)
		return sum[:]
	case "sha512":
		sum := sha512.Sum512(data)
		return sum[:]
	}
	sum := sha256.Sum256(data)
	return sum[:]
}

func tarball(files ...string) []byte { return gzipped(tarred(files...)) }

// tarred packs pairs of a name and a text.
func tarred(files ...string) []byte {
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		check(t.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1])), ModTime: made}))
		_, err := t.Write([]byte(files[i+1]))
		check(err)
	}
	check(t.Close())
	return b.Bytes()
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(data)
	check(err)
	check(z.Close())
	return b.Bytes()
}

// zipped packs pairs of a name and a text.
func zipped(files ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.CreateHeader(&zip.FileHeader{Name: files[i], Method: zip.Deflate, Modified: made})
		check(err)
		_, err = w.Write([]byte(files[i+1]))
		check(err)
	}
	check(z.Close())
	return b.Bytes()
}

func marshal(v any) string { return string(jsonAnswer(200, v).body) }
