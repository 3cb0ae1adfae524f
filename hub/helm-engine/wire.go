//go:build wasip1

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
)

// setExpression is the text of one `--set`, `--set-string`, `--set-json`, `--set-literal` or `--set-file`; As says which ("set", "string" and so on).
type setExpression struct {
	As   string `json:"as"`
	Text string `json:"text"`
	// Files are the contents by path of the files that a `--set-file` names: there is no disk in here.
	Files map[string]string `json:"files"`
}

type request struct {
	Archive bool     `json:"archive"`
	Values  []string `json:"values"`
	// Sets are `--set` expressions and their kin, applied in this order after all layers.
	Sets    []setExpression `json:"sets"`
	Release struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
		Revision  int    `json:"revision"`
		IsUpgrade bool   `json:"isUpgrade"`
	} `json:"release"`
	KubeVersion     string            `json:"kubeVersion"`
	APIVersions     []string          `json:"apiVersions"`
	APIVersionsOnly bool              `json:"apiVersionsOnly"`
	SkipSchema      bool              `json:"skipSchema"`
	Lookup          []json.RawMessage `json:"lookup"`
	// MemoryBytes is where the host stops us; the collector works harder well before it.
	MemoryBytes int64 `json:"memoryBytes"`
}

type document struct {
	Source     string `json:"source"`
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind,omitempty"`
	Name       string `json:"name,omitempty"`
	Content    string `json:"content"`
}

type hook struct {
	document
	Events            []string `json:"events"`
	Weight            int      `json:"weight"`
	DeletePolicies    []string `json:"deletePolicies"`
	OutputLogPolicies []string `json:"outputLogPolicies"`
}

type dependency struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Type    string `json:"type,omitempty"`
}

type chartFacts struct {
	Name         string       `json:"name"`
	Version      string       `json:"version"`
	AppVersion   string       `json:"appVersion,omitempty"`
	Type         string       `json:"type,omitempty"`
	APIVersion   string       `json:"apiVersion"`
	Deprecated   bool         `json:"deprecated,omitempty"`
	Dependencies []dependency `json:"dependencies"`
}

type lookupCall struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	Found      bool   `json:"found"`
}

type answer struct {
	Error     *failure     `json:"error,omitempty"`
	Chart     *chartFacts  `json:"chart,omitempty"`
	CRDs      []document   `json:"crds"`
	Manifests []document   `json:"manifests"`
	Hooks     []hook       `json:"hooks"`
	Notes     string       `json:"notes"`
	Values    any          `json:"values,omitempty"`
	Lookups   []lookupCall `json:"lookups"`
	ClockRead bool         `json:"clockRead"`
}

// failure is Helm's own message with the place in the chart's source taken out of it, when the message has one.
type failure struct {
	Stage    string `json:"stage"`
	Message  string `json:"message"`
	Template string `json:"template,omitempty"`
	Line     int    `json:"line,omitempty"`
}

// Helm writes a place as `chart/templates/file:line` or `chart/templates/file:line:column`; the first one is the file Helm was rendering.
var place = regexp.MustCompile(`([^\s():"]+/[^\s():"]+):(\d+)(?::\d+)?`)

// A manifest that is not YAML has no line in the source, only one in the rendered text, which the message tells.
var unparsable = regexp.MustCompile(`^YAML parse error on ([^\s:]+)`)

func failed(stage string, err error) *failure {
	f := &failure{Stage: stage, Message: strings.TrimSpace(err.Error())}
	if stage == "template" {
		if m := place.FindStringSubmatch(f.Message); m != nil {
			f.Template = m[1]
			f.Line, _ = strconv.Atoi(m[2])
		}
	} else if m := unparsable.FindStringSubmatch(f.Message); m != nil {
		f.Template = m[1]
	}
	return f
}

// answerTo never panics: whatever happens inside Helm becomes the answer's error.
func answerTo(requestJSON, bundle []byte) []byte {
	a := answer{CRDs: []document{}, Manifests: []document{}, Hooks: []hook{}, Lookups: []lookupCall{}}
	a.Error = attempt(requestJSON, bundle, &a)
	encoded, err := encode(a)
	if err != nil { // values may hold what JSON cannot say (a NaN); the manifests are then still worth nothing without them
		encoded, _ = encode(answer{Error: failed("values", err), Chart: a.Chart})
	}
	return encoded
}

func attempt(requestJSON, bundle []byte, a *answer) (f *failure) {
	defer func() {
		if cause := recover(); cause != nil {
			f = failed("engine", fmt.Errorf("the engine panicked: %v", cause))
		}
	}()
	var q request
	if err := json.Unmarshal(requestJSON, &q); err != nil {
		return failed("engine", fmt.Errorf("the request is not what this engine reads: %w", err))
	}
	if q.MemoryBytes > 0 {
		debug.SetMemoryLimit(q.MemoryBytes / 4 * 3)
		// An instance renders once: collecting early only costs time. Near the limit above, the collector runs whatever this says.
		debug.SetGCPercent(400)
	}
	return renderChart(q, bundle, a)
}

func encode(a answer) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(a)
	return out.Bytes(), err
}

var byteOrderMark = []byte{0xEF, 0xBB, 0xBF}

// unframe reads loose chart files: for each, the length of its name, the name, the length of its data, the data (lengths are 32 bit little endian).
func unframe(bundle []byte) ([]*archive.BufferedFile, error) {
	next := func() ([]byte, error) {
		if len(bundle) < 4 || uint32(len(bundle)-4) < binary.LittleEndian.Uint32(bundle) {
			return nil, errors.New("the list of files is cut short")
		}
		size := binary.LittleEndian.Uint32(bundle)
		part := bundle[4 : 4+size]
		bundle = bundle[4+size:]
		return part, nil
	}
	files := []*archive.BufferedFile{}
	for len(bundle) > 0 {
		name, err := next()
		if err != nil {
			return nil, err
		}
		data, err := next()
		if err != nil {
			return nil, err
		}
		files = append(files, &archive.BufferedFile{Name: string(name), Data: bytes.TrimPrefix(data, byteOrderMark)})
	}
	return files, nil
}
