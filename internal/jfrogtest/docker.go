package jfrogtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// docker admits those whom Artifactory's Docker registry knows. Its challenge names the token endpoint beside it.
func (p *Platform) docker(handle func(*call) answer) func(*call) answer {
	return p.users(handle, func(c *call, message string) answer {
		realm := c.base() + "/v2/token"
		if repo := c.PathValue("repo"); strings.HasPrefix(c.URL.Path, art) {
			realm = c.base() + art + "docker/" + repo + "/v2/token"
		}
		a := p.refuse(401, "UNAUTHORIZED", message, "")
		a.header = map[string]string{"WWW-Authenticate": fmt.Sprintf(`Bearer realm=%q,service=%q`, realm, c.Host)}
		return a
	})
}

// dockerToken takes no credentials in a form: helm sends one first, and falls back to Basic on the 401. The registry's
// token is the access token itself, so that both end together.
func (p *Platform) dockerToken(c *call) answer {
	return jsonAnswer(200, map[string]any{"token": c.token.access, "expires_in": 3600})
}

func (p *Platform) dockerPing(*call) answer {
	a := jsonAnswer(200, struct{}{})
	a.header = map[string]string{"Docker-Distribution-Api-Version": "registry/2.0"}
	return a
}

// dockerFile serves <image>/manifests/<tag or digest>, <image>/blobs/<digest> and <image>/tags/list.
// A repository stores them as Artifactory does: <image>/<tag>/manifest.json, and the blobs beside it.
func (p *Platform) dockerFile(c *call) answer {
	repo, parts := p.repo(c.PathValue("repo")), strings.Split(c.PathValue("path"), "/")
	if repo == nil || len(parts) < 3 || !slices.Contains([]string{"Docker", "HelmOCI"}, repo.kind) {
		return p.refuse(404, "NAME_UNKNOWN", "Repository name not known to registry.", "")
	}
	if c.Method != http.MethodGet && c.Method != http.MethodHead {
		return p.refuse(403, "DENIED", "Not enough permissions to deploy", "")
	}
	image, kind, reference := strings.Join(parts[:len(parts)-2], "/"), parts[len(parts)-2], parts[len(parts)-1]
	var tags []string
	for name, data := range repo.files {
		rest, ok := strings.CutPrefix(name, image+"/")
		tag, file, _ := strings.Cut(rest, "/")
		sum := "sha256:" + checksum("sha256", data)
		manifest := file == "manifest.json"
		switch {
		case !ok:
		case kind == "tags" && manifest:
			tags = append(tags, tag)
		case kind == "manifests" && manifest && (reference == tag || reference == sum),
			kind == "blobs" && !manifest && reference == sum:
			a := fileAnswer(name, data)
			a.kind = "application/octet-stream"
			if manifest {
				a.kind = repo.manifestType
			}
			a.header["Docker-Content-Digest"] = sum
			a.header["Docker-Distribution-Api-Version"] = "registry/2.0"
			return a
		}
	}
	if len(tags) > 0 {
		return jsonAnswer(200, map[string]any{"name": repo.key + "/" + image, "tags": tags})
	}
	code := strings.ToUpper(strings.TrimSuffix(kind, "s")) + "_UNKNOWN"
	return p.refuse(404, code, "The named "+kind+" is not known to the registry.", "")
}
