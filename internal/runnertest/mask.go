package runnertest

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"sort"
	"strings"
)

// masker replaces what was masked, and the forms that the runner derives from
// it (HostContext.cs, ValueEncoders.cs).
type masker struct{ values []string }

func (m *masker) add(v string) {
	if v == "" {
		return
	}
	m.values = append(m.values, v)
	for offset := range min(3, len(v)) {
		m.values = append(m.values, base64.StdEncoding.EncodeToString([]byte(v[offset:])))
	}
	j, _ := json.Marshal(v)
	m.values = append(m.values, string(j[1:len(j)-1]), url.PathEscape(v), url.QueryEscape(v))
	sort.SliceStable(m.values, func(i, j int) bool { return len(m.values[i]) > len(m.values[j]) })
}

// Mask shows text as the job's log would.
func (r *Runner) Mask(text string) string { return r.masker.mask(text) }

func (m *masker) mask(s string) string {
	for _, v := range m.values {
		if v != "" {
			s = strings.ReplaceAll(s, v, "***")
		}
	}
	return s
}
