package mask

import (
	"encoding/binary"
)

// enough is how many bytes of a spelling are hidden although more would follow.
const enough = 12

// automaton finds spellings of secrets in a stream, with the algorithm of Aho
// and Corasick, which looks at each byte once however the spellings overlap:
// https://doi.org/10.1145/360825.360855
//
// A state is the longest beginning of a spelling with which the stream ends so
// far. All beginnings are the nodes of a tree.
type automaton struct {
	nodes []node
	start [256]state // the children of the root

	// What skip needs: the length of the shortest beginning that is hidden, and a
	// set, by their hashes, of all 4 bytes in a row within these beginnings.
	least int
	grams [gramBits / 64]uint64
}

type state int32

// root is the state in which no spelling has begun, and in place of a child it
// says that there is none.
const root state = 0

type node struct {
	depth    int32 // length of the beginning
	fallback state // the longest other one with which it ends
	child    state // the first of its children
	sibling  state // the next child of its parent
	by       byte  // the byte that leads here
	covers   uint8 // how many of its last bytes are to be hidden, at most enough
}

func newAutomaton(spellings []string) *automaton {
	a := &automaton{nodes: make([]node, 1), least: enough}
	for _, s := range spellings {
		a.add(s)
	}
	a.link()
	return a
}

// add adds a spelling to the tree.
func (a *automaton) add(spelling string) {
	s := root
	for i := range len(spelling) {
		c := spelling[i]
		next := a.child(s, c)
		if next == root {
			next = state(len(a.nodes))
			a.nodes = append(a.nodes, node{depth: int32(i + 1), by: c, sibling: a.nodes[s].child})
			a.nodes[s].child = next
			if s == root {
				a.start[c] = next
			}
		}
		if i+1 >= enough || i+1 == len(spelling) {
			a.nodes[next].covers = uint8(min(i+1, enough))
		}
		s = next
	}
	beginning := spelling[:min(len(spelling), enough)]
	a.least = min(a.least, len(beginning))
	for i := range len(beginning) - gram + 1 {
		h := hash([]byte(beginning[i:]))
		a.grams[h/64] |= 1 << (h % 64)
	}
}

// link finds the fallbacks, the shorter ones first.
func (a *automaton) link() {
	queue := []state{root}
	for n := 0; n < len(queue); n++ {
		for s := a.nodes[queue[n]].child; s != root; s = a.nodes[s].sibling {
			queue = append(queue, s)
			if queue[n] != root {
				a.nodes[s].fallback = a.next(a.nodes[queue[n]].fallback, a.nodes[s].by)
			}
			a.nodes[s].covers = max(a.nodes[s].covers, a.nodes[a.nodes[s].fallback].covers)
		}
	}
}

// child returns the state that a byte leads to as the next one of the same
// spellings, root if it is not.
func (a *automaton) child(s state, c byte) state {
	if s == root {
		return a.start[c]
	}
	n := a.nodes[s].child
	for n != root && a.nodes[n].by != c {
		n = a.nodes[n].sibling
	}
	return n
}

// next returns the state after one more byte.
func (a *automaton) next(s state, c byte) state {
	for {
		n := a.child(s, c)
		if n != root || s == root {
			return n
		}
		s = a.nodes[s].fallback
	}
}

// goesOn reports whether the stream ends with a part of a spelling that is
// hidden, and that is not all of it.
func (a *automaton) goesOn(s state) bool {
	return a.nodes[s].depth >= enough && a.nodes[s].child != root
}

const (
	gram     = 4
	gramBits = 1 << 16
)

func hash(b []byte) uint32 { return binary.LittleEndian.Uint32(b) * 0x9e3779b1 >> 16 }

// skip returns how many of the first bytes of p begin no spelling. It may return
// less than there are.
//
// A beginning of at least so many bytes as least, at any of the next
// least-gram+1 places, would hold the 4 bytes before the end of the first least
// ones. So one look passes all of these places, as in the algorithm of Wu and
// Manber (A fast algorithm for multi-pattern searching, 1994).
func (a *automaton) skip(p []byte) int {
	if len(a.nodes) == 1 {
		return len(p)
	}
	i, stride := 0, a.least-gram+1
	for i+a.least <= len(p) {
		h := hash(p[i+a.least-gram:])
		if a.grams[h/64]&(1<<(h%64)) != 0 {
			break
		}
		i += stride
	}
	return i
}
