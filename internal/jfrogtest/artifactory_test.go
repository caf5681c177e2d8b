package jfrogtest

import (
	"archive/zip"
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// request sends a request with these headers, name and value in turns.
func (w *world) request(method, path string, body string, headers ...string) reply {
	w.Helper()
	req, err := http.NewRequest(method, w.URL()+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	r, err := w.send(req)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// onePath is something that each repository serves.
var onePath = map[string]string{
	"generic-local":   "/artifactory/generic-local/hello.txt",
	"npm-local":       "/artifactory/api/npm/npm-local/acme-hello",
	"pypi-local":      "/artifactory/api/pypi/pypi-local/simple/acme-hello/",
	"go-local":        "/artifactory/api/go/go-local/acme.test/hello/@v/v1.0.0.info",
	"maven-local":     "/artifactory/maven-local/com/acme/acme-parent/1.0.0/acme-parent-1.0.0.pom",
	"helm-local":      "/artifactory/helm-local/index.yaml",
	"terraform-local": "/artifactory/terraform-local/acme/hello/generic/1.0.0.zip",
	"docker-local":    "/v2/docker-local/acme-hello/manifests/1.0.0",
	"helmoci-local":   "/v2/helmoci-local/acme-hello/manifests/1.0.0",
}

func TestArtifactoryAuthentication(t *testing.T) {
	w := newWorld(t, Config{Tokens: append(stored(),
		StoredToken{User: "ci-bot", Scope: "artifact:*:r"},
		StoredToken{User: "ci-bot", Scope: groupsPrefix + "readers"},
		StoredToken{User: "ci-bot", Audience: "jfac@*"},
	)}, IssuerConfig{})
	const auth, key = "Authorization", "X-JFrog-Art-Api"
	for _, test := range []struct {
		name, header, value string
		status              int
		part                string
	}{
		{"bearer", auth, "Bearer " + w.Stored(bot), 200, ""},
		{"bearer, reference", auth, "Bearer " + w.Stored(reference), 200, ""},
		{"basic", auth, basic("ci-bot", w.Stored(bot)), 200, ""},
		{"basic, upper case", auth, basic("CI-Bot", w.Stored(bot)), 200, ""},
		{"basic, reference", auth, basic("ci-bot", w.Stored(reference)), 200, ""},
		{"key", key, w.Stored(bot), 200, ""},
		{"key, reference", key, w.Stored(reference), 200, ""},
		{"groups", auth, "Bearer " + w.Stored(revoked+2), 200, ""},
		{"nothing", "Accept", "*/*", 401, "Bad credentials"},
		{"another user", auth, basic("admin", w.Stored(bot)), 401, "Wrong username was used"},
		{"no user", auth, basic("", w.Stored(bot)), 401, "Wrong username was used"},
		{"wrong password", auth, basic("ci-bot", "x"), 401, "Bad credentials"},
		{"wrong key", key, "x", 401, "Bad credentials"},
		{"expired", auth, "Bearer " + w.Stored(expired), 401, "Token failed verification: expired"},
		{"revoked", auth, basic("ci-bot", w.Stored(revoked)), 401, "Token failed verification: revoked"},
		{"audience", auth, "Bearer " + w.Stored(revoked+3), 401, "Token failed verification: audience"},
		{"scope", auth, "Bearer " + w.Stored(revoked+1), 403, "Forbidden"},
	} {
		for _, path := range onePath {
			r := w.request("GET", path, "", test.header, test.value)
			w.want(r, test.status, test.part)
			challenge := `Basic realm="Artifactory Realm"`
			if strings.HasPrefix(path, "/v2/") {
				host := strings.TrimPrefix(w.URL(), "https://")
				challenge = `Bearer realm="` + w.URL() + `/v2/token",service="` + host + `"`
			}
			if got := r.header.Get("WWW-Authenticate"); (test.status == 401) != (got == challenge) {
				t.Errorf("%s: %s: challenge %q", test.name, path, got)
			}
		}
	}
	for _, path := range []string{"/artifactory/nothing/x", "/artifactory/api/npm/pypi-local/x", "/artifactory/generic-local/x", "/artifactory/x"} {
		w.want(w.do("GET", path, "", nil), 401, `{"errors":[{"status":401,"message":"Bad credentials"}]}`)
		w.want(w.do("GET", path, w.Stored(bot), nil), 404, `{"errors":[{"status":404,"message":"File not found."}]}`)
	}
}

func TestRepositories(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored()}, IssuerConfig{})
	var list []struct{ Key, PackageType, Type, URL string }
	if err := json.Unmarshal([]byte(w.do("GET", art+"repositories", w.Stored(bot), nil).text), &list); err != nil {
		t.Fatal(err)
	}
	for _, repo := range list {
		if onePath[repo.Key] == "" || repo.URL != w.URL()+"/artifactory/"+repo.Key || repo.Type != "LOCAL" {
			t.Errorf("%+v", repo)
		}
		get := w.want(w.do("GET", onePath[repo.Key], w.Stored(bot), nil), 200, "")
		head := w.do("HEAD", onePath[repo.Key], w.Stored(bot), nil)
		if head.status != 200 || head.text != "" || head.header.Get("Content-Length") != get.header.Get("Content-Length") ||
			head.header.Get("X-Checksum-Sha1") != checksum("sha1", []byte(get.text)) {
			t.Errorf("HEAD %s: %d %v", onePath[repo.Key], head.status, head.header)
		}
		if repo.Key != "generic-local" {
			w.want(w.do("PUT", onePath[repo.Key], w.Stored(admin), "{}"), 403, "Not enough permissions")
		}
		w.want(w.do("GET", art+"repositories/"+repo.Key, w.Stored(bot), nil), 200, `"packageType":"`+strings.ToLower(repo.PackageType)+`"`)

		var storage struct {
			URI, Created string
			Files        []struct {
				URI, LastModified, SHA1, SHA2 string
				Size                          int
				Folder                        bool
			}
		}
		r := w.want(w.do("GET", art+"storage/"+repo.Key+"?list&deep=1", w.Stored(bot), nil), 200, `"files":[{"uri":"/`)
		if err := json.Unmarshal([]byte(r.text), &storage); err != nil || storage.URI != w.URL()+art+"storage/"+repo.Key || len(storage.Files) == 0 {
			t.Fatalf("%s: %v", r.text, err)
		}
		for _, f := range storage.Files {
			r := w.want(w.do("GET", "/artifactory/"+repo.Key+f.URI, w.Stored(bot), nil), 200, "")
			if data := []byte(r.text); len(data) != f.Size || checksum("sha1", data) != f.SHA1 || checksum("sha256", data) != f.SHA2 {
				t.Errorf("%s: %+v", repo.Key, f)
			}
			w.want(w.do("GET", "/artifactory/"+repo.Key+f.URI+".sha1", w.Stored(bot), nil), 200, f.SHA1)
			w.want(w.do("GET", art+"storage/"+repo.Key+f.URI, w.Stored(bot), nil), 200, `"sha256":"`+f.SHA2)
		}
	}
	if len(list) != len(onePath) {
		t.Errorf("%d repositories", len(list))
	}
}

func TestGenericRepository(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored()}, IssuerConfig{})
	const path = "/artifactory/generic-local/dir/a%20b.txt"
	w.want(w.do("PUT", path, "", "{}"), 401, "")
	w.want(w.request("PUT", path, "", "Authorization", "Bearer "+w.Stored(bot), "X-Checksum-Deploy", "true"), 404, "")
	r := w.want(w.do("PUT", path, w.Stored(bot), "one"), 201, `"path":"/dir/a b.txt"`)
	if r.str("createdBy") != "ci-bot" {
		t.Errorf("put: %s", r.text)
	}
	w.want(w.do("GET", path, w.Stored(bot), nil), 200, "one")
	w.want(w.request("GET", path, "", "Authorization", "Bearer "+w.Stored(bot), "Range", "bytes=1-"), 206, "ne")
	w.want(w.do("GET", art+"storage/generic-local?list&deep=1", w.Stored(bot), nil), 200, `"files":[{"uri":"/dir/a b.txt","size":3,`)
	w.want(w.do("GET", art+"storage/generic-local/dir?list", w.Stored(bot), nil), 200, `"files":[{"uri":"/a b.txt",`)
	if r := w.do("GET", art+"storage/generic-local?list", w.Stored(bot), nil); strings.Contains(r.text, "dir") {
		t.Errorf("not deep: %s", r.text)
	}
	w.want(w.do("DELETE", path, w.Stored(bot), nil), 204, "")
	w.want(w.do("DELETE", path, w.Stored(bot), nil), 404, "")
	w.want(w.do("GET", path, w.Stored(bot), nil), 404, "File not found.")
	w.want(w.do("PATCH", path, w.Stored(bot), nil), 405, "")
}

func TestPackages(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored()}, IssuerConfig{})
	get := func(path string) reply { t.Helper(); return w.want(w.do("GET", path, w.Stored(bot), nil), 200, "") }

	w.want(w.do("GET", art+"npm/npm-local/-/ping", w.Stored(bot), nil), 200, "{}")
	w.want(w.do("GET", art+"npm/npm-local/-/whoami", w.Stored(bot), nil), 200, `{"username":"ci-bot"}`)
	var packument struct {
		Versions map[string]struct {
			Dist struct{ Tarball, Integrity string }
		}
	}
	if err := json.Unmarshal([]byte(get(onePath["npm-local"]).text), &packument); err != nil {
		t.Fatal(err)
	}
	dist := packument.Versions["1.0.0"].Dist
	sum := sha512.Sum512([]byte(get(strings.TrimPrefix(dist.Tarball, w.URL())).text))
	if dist.Integrity != "sha512-"+base64.StdEncoding.EncodeToString(sum[:]) {
		t.Errorf("%+v", dist)
	}

	w.want(get(art+"pypi/pypi-local/simple/"), 200, `href="acme-hello/"`)
	w.want(get(onePath["pypi-local"]), 200, `href="../../acme-hello/1.0.0/acme_hello-1.0.0-py3-none-any.whl#sha256=`)
	get(art + "pypi/pypi-local/acme-hello/1.0.0/acme_hello-1.0.0-py3-none-any.whl")

	const module = art + "go/go-local/acme.test/hello/"
	w.want(get(module+"@v/list"), 200, "v1.0.0\n")
	w.want(get(module+"@latest"), 200, `"Version":"v1.0.0"`)
	w.want(get(module+"@v/v1.0.0.mod"), 200, "module acme.test/hello\n")
	data := []byte(get(module + "@v/v1.0.0.zip").text)
	if z, err := zip.NewReader(bytes.NewReader(data), int64(len(data))); err != nil || z.File[0].Name != "acme.test/hello@v1.0.0/go.mod" {
		t.Errorf("%v", err)
	}

	w.want(w.do("GET", "/.well-known/terraform.json", "", nil), 200, terraformModules)
	w.want(w.do("GET", terraformModules+"terraform-local__acme/hello/generic/versions", "", nil), 401, "")
	w.want(get(terraformModules+"terraform-local__acme/hello/generic/versions"), 200, `{"version":"1.0.0"}`)
	w.want(w.do("GET", terraformModules+"terraform-local__acme/bye/generic/versions", w.Stored(bot), nil), 404, "")
	r := w.want(w.do("GET", terraformModules+"terraform-local__acme/hello/generic/1.0.0/download", w.Stored(bot), nil), 204, "")
	archive := strings.TrimPrefix(r.header.Get("X-Terraform-Get"), w.URL())
	w.want(w.do("GET", archive, "", nil), 200, "")
	w.want(w.do("GET", strings.Replace(archive, "archives/", "archives/x", 1), "", nil), 404, "")

	for query, want := range map[string]string{
		`items.find({"$or":[{"$and":[{"repo":"generic-local","path":".","name":"hello.txt"}]}]})`: `"total":1}`,
		`items.find({"repo":"maven-local","name":{"$match":"*.pom"}})`:                            `"total":2}`,
		`items.find({"repo":"maven-local","path":"com/acme"})`:                                    `"total":0}`,
	} {
		w.want(w.do("POST", art+"search/aql", w.Stored(bot), query), 200, want)
	}

	w.want(get(art+"helm/helm-local/index.yaml"), 200, "digest: "+checksum("sha256", []byte(get("/artifactory/helm-local/acme-hello-1.0.0.tgz").text)))
}

func TestDocker(t *testing.T) {
	w := newWorld(t, Config{Tokens: stored()}, IssuerConfig{})
	for base, realm := range map[string]string{
		"/v2/": "/v2/token", art + "docker/docker-local/v2/": art + "docker/docker-local/v2/token",
	} {
		if r := w.do("GET", base, "", nil); r.status != 401 || !strings.Contains(r.header.Get("WWW-Authenticate"), `realm="`+w.URL()+realm+`"`) {
			t.Errorf("%s: %d %v", base, r.status, r.header)
		}
		for _, method := range []string{"GET", "POST"} {
			w.want(w.request(method, realm, "", "Authorization", basic("ci-bot", "x")), 401, "Bad credentials")
		}
		form := "grant_type=password&username=ci-bot&password=" + w.Stored(reference)
		w.want(w.request("POST", realm, form, "Content-Type", "application/x-www-form-urlencoded"), 401, "Bad credentials")
		login := w.want(w.request("POST", realm, "", "Authorization", basic("ci-bot", w.Stored(reference))), 200, `"expires_in":3600`)
		r := w.want(w.do("GET", base, login.str("token"), nil), 200, "{}")
		if r.header.Get("Docker-Distribution-Api-Version") != "registry/2.0" {
			t.Errorf("%s: %v", base, r.header)
		}
	}
	for _, repo := range []string{"docker-local", "helmoci-local"} {
		image := "/v2/" + repo + "/acme-hello/"
		r := w.want(w.do("GET", image+"manifests/1.0.0", w.Stored(bot), nil), 200, "")
		w.want(w.do("GET", image+"manifests/"+r.header.Get("Docker-Content-Digest"), w.Stored(bot), nil), 200, r.text)
		if r.header.Get("Content-Type") != r.str("mediaType") {
			t.Errorf("%s: %v", repo, r.header)
		}
		type blob struct{ Digest string }
		var manifest struct {
			Config blob
			Layers []blob
		}
		if err := json.Unmarshal([]byte(r.text), &manifest); err != nil {
			t.Fatal(err)
		}
		for _, b := range append(manifest.Layers, manifest.Config) {
			r := w.want(w.do("GET", image+"blobs/"+b.Digest, w.Stored(bot), nil), 200, "")
			if b.Digest != "sha256:"+checksum("sha256", []byte(r.text)) {
				t.Errorf("%s is something else", b.Digest)
			}
		}
		w.want(w.do("GET", image+"tags/list", w.Stored(bot), nil), 200, `"tags":["1.0.0"]`)
		w.want(w.do("GET", image+"manifests/2", w.Stored(bot), nil), 404, "MANIFEST_UNKNOWN")
		w.want(w.do("GET", image+"blobs/2", w.Stored(bot), nil), 404, "BLOB_UNKNOWN")
	}
	for _, path := range []string{"/v2/npm-local/acme-hello/manifests/1", "/v2/nothing/acme-hello/manifests/1", "/v2/docker-local/x"} {
		w.want(w.do("GET", path, w.Stored(bot), nil), 404, "NAME_UNKNOWN")
	}
}

// Every run makes the same packages.
func TestDeterministic(t *testing.T) {
	a, b := makePackages(), makePackages()
	for i := range a {
		for name, data := range a[i].files {
			if !bytes.Equal(data, b[i].files[name]) {
				t.Errorf("%s/%s differs", a[i].key, name)
			}
		}
	}
}
