package jfrogtest

import (
	"path"
	"slices"
	"strings"
)

const (
	terraformModules  = art + "terraform/v1/modules/"
	terraformArchives = art + "terraform/v1/archives/"
)

// terraformServices is where terraform begins: https://developer.hashicorp.com/terraform/internals/remote-service-discovery
func terraformServices(*call) answer {
	return jsonAnswer(200, map[string]string{"modules.v1": terraformModules})
}

// terraformPath is where a repository keeps the versions of a module. Its namespace begins with the repository:
// terraform-local__acme.
func terraformPath(c *call) (repo, dir string) {
	repo, namespace, _ := strings.Cut(c.PathValue("namespace"), "__")
	return repo, path.Join(namespace, c.PathValue("name"), c.PathValue("system")) + "/"
}

func (p *Platform) terraformVersions(c *call) answer {
	type version struct {
		Version string `json:"version"`
	}
	var versions []version
	key, dir := terraformPath(c)
	if repo := p.repo(key); repo != nil {
		for name := range repo.files {
			if file, ok := strings.CutPrefix(name, dir); ok {
				versions = append(versions, version{strings.TrimSuffix(file, ".zip")})
			}
		}
	}
	if versions == nil {
		return p.noFile(c)
	}
	return jsonAnswer(200, map[string]any{"modules": []any{map[string]any{"versions": versions}}})
}

// terraformModule returns the URL of a module's archive. Terraform sends no credentials there, so that it has to be one
// for this user alone: https://developer.hashicorp.com/terraform/internals/provider-network-mirror-protocol#authentication
// How Artifactory does it is not known.
func terraformModule(c *call) answer {
	repo, dir := terraformPath(c)
	file := path.Join(archiveKey(c.token), repo, dir, c.PathValue("version")+".zip")
	return answer{status: 204, header: map[string]string{"X-Terraform-Get": c.base() + terraformArchives + file}}
}

func archiveKey(t *token) string { return checksum("sha256", []byte("archive "+t.access)) }

func (p *Platform) terraformArchive(c *call) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.tokens, func(t *token) bool { return archiveKey(t) == c.PathValue("key") })
	if i < 0 {
		return p.noFile(c)
	}
	if _, problem := p.lookup(p.tokens[i].access); problem != "" {
		return artifactoryError(401, "Token failed verification: "+problem)
	}
	return p.file(c)
}
