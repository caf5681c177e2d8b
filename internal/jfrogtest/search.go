package jfrogtest

import (
	"maps"
	"path"
	"regexp"
	"slices"
)

var criterion = regexp.MustCompile(`"(repo|path|name)"\s*:\s*(?:\{\s*"\$match"\s*:\s*)?"([^"]*)"`)

// search finds items by repository, path and name, as JFrog's CLI asks for them before it downloads, in what it sends of
// the query language AQL: https://jfrog.com/help/r/jfrog-rest-apis/artifactory-query-language-aql
func (p *Platform) search(c *call) answer {
	wanted := map[string][]string{}
	for _, m := range criterion.FindAllStringSubmatch(string(c.body), -1) {
		wanted[m[1]] = append(wanted[m[1]], m[2])
	}
	matches := func(field, value string) bool {
		return len(wanted[field]) == 0 || slices.ContainsFunc(wanted[field], func(pattern string) bool {
			ok, err := path.Match(pattern, value)
			return ok && err == nil
		})
	}
	found := []map[string]any{}
	for _, r := range p.repos {
		for _, file := range slices.Sorted(maps.Keys(r.files)) {
			if dir, name := path.Dir(file), path.Base(file); matches("repo", r.key) && matches("path", dir) && matches("name", name) {
				data := r.files[file]
				found = append(found, map[string]any{
					"repo": r.key, "path": dir, "name": name, "type": "file", "size": len(data), "created": madeISO, "modified": madeISO,
					"actual_md5": checksum("md5", data), "actual_sha1": checksum("sha1", data), "sha256": checksum("sha256", data),
				})
			}
		}
	}
	return jsonAnswer(200, struct { // in this order: JFrog's client reads no further than the results
		Results []map[string]any `json:"results"`
		Range   map[string]int   `json:"range"`
	}{found, map[string]int{"start_pos": 0, "end_pos": len(found), "total": len(found)}})
}
