package jfrogtest

import (
	"cmp"
	"encoding/hex"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

// artifactory admits those whom Artifactory knows.
func (p *Platform) artifactory(handle func(*call) answer) func(*call) answer {
	return p.users(handle, func(_ *call, message string) answer {
		a := artifactoryError(401, message)
		if p.cfg.ErrorShape != "modern" {
			a = p.refuse(401, "UNAUTHORIZED", message, "")
		}
		a.header = map[string]string{"WWW-Authenticate": `Basic realm="Artifactory Realm"`}
		return a
	})
}

// users admits those who show a token, one at a time: as Bearer, as a Basic password or in X-JFrog-Art-Api.
func (p *Platform) users(handle func(*call) answer, refuse func(*call, string) answer) func(*call) answer {
	return func(c *call) answer {
		p.mu.Lock()
		defer p.mu.Unlock()
		secret, user, basic := c.credentials()
		t, problem := p.lookup(secret)
		switch {
		case problem == "invalid":
			return refuse(c, "Bad credentials")
		case problem != "":
			return refuse(c, "Token failed verification: "+problem)
		case basic && !strings.EqualFold(user, t.User):
			return refuse(c, "Wrong username was used")
		case !accepts(t.Audience, "jfrt", p.issuerOf("artifactory")):
			return refuse(c, "Token failed verification: audience")
		case countGroups(t.scopes) > 1, c.op == "artifact" && !mayRead(t):
			return artifactoryError(403, "Forbidden")
		}
		c.token = t
		return handle(c)
	}
}

// mayRead reports whether a token may use the repositories.
func mayRead(t *token) bool {
	return slices.ContainsFunc(t.scopes, func(s string) bool {
		return s == userScope || s == adminScope || strings.HasPrefix(s, groupsPrefix)
	})
}

func (p *Platform) version(*call) answer {
	return jsonAnswer(200, map[string]string{"version": p.cfg.Version, "revision": "71714900", "license": "demo"})
}

// https://jfrog.com/help/r/jfrog-rest-apis/get-service-id
func (p *Platform) artifactoryID(c *call) answer {
	if !p.isAdmin(c.token) {
		return artifactoryError(403, "Forbidden")
	}
	return textAnswer(200, p.issuerOf("artifactory"))
}

func (p *Platform) noFile(*call) answer { return artifactoryError(404, "File not found.") }

func (p *Platform) repo(key string) *repository {
	i := slices.IndexFunc(p.repos, func(r *repository) bool { return r.key == key })
	if i < 0 {
		return nil
	}
	return p.repos[i]
}

func (p *Platform) listRepositories(c *call) answer {
	list := []map[string]string{}
	for _, r := range p.repos {
		list = append(list, map[string]string{
			"key": r.key, "type": "LOCAL", "url": c.base() + "/artifactory/" + r.key, "packageType": r.kind,
		})
	}
	return jsonAnswer(200, list)
}

func (p *Platform) getRepository(c *call) answer {
	r := p.repo(c.PathValue("repo"))
	if r == nil {
		return artifactoryError(400, "Bad Request") // as JFrog does
	}
	return jsonAnswer(200, map[string]string{"key": r.key, "rclass": "local", "packageType": strings.ToLower(r.kind)})
}

// storage describes a file, or lists a repository: https://jfrog.com/help/r/jfrog-rest-apis/file-list
func (p *Platform) storage(c *call) answer {
	repo, name := p.repo(c.PathValue("repo")), c.PathValue("path")
	if repo == nil {
		return p.noFile(c)
	}
	if data, ok := repo.files[name]; ok {
		return jsonAnswer(200, fileInfo(c, repo, name, data))
	}
	type entry struct {
		URI          string `json:"uri"`
		Size         int    `json:"size"`
		LastModified string `json:"lastModified"`
		Folder       bool   `json:"folder"`
		SHA1         string `json:"sha1"`
		SHA2         string `json:"sha2"`
	}
	files := []entry{}
	folder := strings.TrimPrefix(name+"/", "/")
	for _, file := range slices.Sorted(maps.Keys(repo.files)) {
		rest, below := strings.CutPrefix(file, folder)
		if deep := c.URL.Query().Get("deep") == "1"; !below || !deep && strings.Contains(rest, "/") {
			continue
		}
		data := repo.files[file]
		files = append(files, entry{"/" + rest, len(data), madeISO, false, checksum("sha1", data), checksum("sha256", data)})
	}
	if !c.URL.Query().Has("list") || name != "" && len(files) == 0 {
		return p.noFile(c)
	}
	uri := c.base() + art + path.Join("storage", repo.key, name)
	return jsonAnswer(200, map[string]any{"uri": uri, "created": madeISO, "files": files})
}

func fileInfo(c *call, repo *repository, name string, data []byte) map[string]any {
	checksums := map[string]string{}
	for _, algorithm := range []string{"md5", "sha1", "sha256"} {
		checksums[algorithm] = checksum(algorithm, data)
	}
	return map[string]any{
		"repo": repo.key, "path": "/" + name, "created": madeISO, "createdBy": c.token.User, "lastModified": madeISO,
		"uri":         c.base() + art + "storage/" + repo.key + "/" + name,
		"downloadUri": c.base() + "/artifactory/" + repo.key + "/" + name,
		"mimeType":    fileType(name, data), "size": strconv.Itoa(len(data)), "checksums": checksums,
	}
}

// file serves what a repository stores. A generic repository takes uploads too.
func (p *Platform) file(c *call) answer {
	repo, name := p.repo(c.PathValue("repo")), c.PathValue("path")
	if repo == nil || name == "" {
		return p.noFile(c)
	}
	data, found := repo.files[name]
	switch {
	case c.Method == http.MethodGet, c.Method == http.MethodHead:
		if base, ext := strings.TrimSuffix(name, path.Ext(name)), strings.TrimPrefix(path.Ext(name), "."); !found {
			if data, ok := repo.files[base]; ok && slices.Contains([]string{"md5", "sha1", "sha256"}, ext) {
				return textAnswer(200, checksum(ext, data))
			}
			return p.noFile(c)
		}
		return fileAnswer(name, data)
	case repo.kind != "Generic":
		return artifactoryError(403, "Not enough permissions to delete/overwrite artifact '"+repo.key+":"+name+"'")
	case c.Method == http.MethodPut && c.Header.Get("X-Checksum-Deploy") == "true":
		return p.noFile(c) // nothing with that checksum is stored: the client sends the content then
	case c.Method == http.MethodPut:
		repo.files[name] = c.body
		return jsonAnswer(201, fileInfo(c, repo, name, c.body))
	case c.Method == http.MethodDelete && found:
		delete(repo.files, name)
		return answer{status: 204}
	case c.Method == http.MethodDelete:
		return p.noFile(c)
	}
	return artifactoryError(405, "Method Not Allowed")
}

// packageFile serves what a package type's own API has below /artifactory/api/<type>/<repository>/.
func (p *Platform) packageFile(c *call) answer {
	repo, name := p.repo(c.PathValue("repo")), strings.TrimSuffix(c.PathValue("path"), "/")
	if repo == nil || !strings.EqualFold(repo.kind, c.PathValue("kind")) {
		return p.noFile(c)
	}
	index, ok := repo.index[name]
	if !ok || c.Method != http.MethodGet && c.Method != http.MethodHead {
		return p.file(c)
	}
	return fileAnswer(name, []byte(strings.ReplaceAll(index, "{{base}}", c.base())))
}

func fileAnswer(name string, data []byte) answer {
	return answer{status: 200, kind: fileType(name, data), body: data, modified: made, header: map[string]string{
		"ETag": `"` + checksum("sha1", data) + `"`, "X-Checksum-Md5": checksum("md5", data),
		"X-Checksum-Sha1": checksum("sha1", data), "X-Checksum-Sha256": checksum("sha256", data),
	}}
}

func fileType(name string, data []byte) string {
	types := map[string]string{
		".json": "application/json", ".pom": "application/xml", ".xml": "application/xml", ".yaml": "text/yaml",
		".tgz": "application/x-gzip", ".zip": "application/zip", ".whl": "application/zip",
		".jar": "application/java-archive",
	}
	if len(data) > 0 && (data[0] == '{' || data[0] == '<') && types[path.Ext(name)] == "" {
		return contentType(string(data))
	}
	return cmp.Or(types[path.Ext(name)], "text/plain")
}

func checksum(algorithm string, data []byte) string {
	return hex.EncodeToString(digest(algorithm, data))
}

func (p *Platform) npmWhoami(c *call) answer {
	return jsonAnswer(200, map[string]string{"username": c.token.User})
}
