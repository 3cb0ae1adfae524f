//go:build wasip1

package main

import (
	crypto "crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"math/rand"
	"reflect"
	"slices"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"github.com/huandu/xstrings"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

const lookupCallsMax = 200

// clockFunctions are the template functions that read (or, for `date` with an odd argument, may read) the clock. The host cannot tell
// them from Go's own garbage collector, which reads the clock too, so the mark is made here.
var clockFunctions = []string{"now", "ago", "date", "date_in_zone", "dateInZone", "htmlDate", "htmlDateInZone",
	"genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey"}

// templateFunctions replaces functions whose result Helm leaves to chance or to a cluster:
//   - lookup answers from the declared objects only;
//   - randInt and shuffle draw from the host's seeded bytes (Go would use the generator it seeded when it started);
//   - keys and values come in order (Helm documents that theirs have none), so that equal inputs render equal text;
//   - functions that read the clock say so.
func templateFunctions(declared []json.RawMessage, a *answer) (template.FuncMap, error) {
	for _, raw := range declared {
		if object, err := objectOf(raw); err != nil || object == nil {
			return nil, errors.Join(errors.New("a declared lookup answer is not a Kubernetes object"), err)
		}
	}
	functions := template.FuncMap{
		"lookup": func(apiVersion, kind, namespace, name string) map[string]any {
			return lookup(declared, a, lookupCall{apiVersion, kind, namespace, name, false})
		},
		"randInt": func(least, below int) int { return seeded().Intn(below-least) + least },
		"shuffle": func(text string) string { return xstrings.ShuffleSource(text, seeded()) },
		"keys":    sortedKeys,
		"values":  orderedValues,
	}
	original := sprig.TxtFuncMap()
	for _, name := range clockFunctions {
		functions[name] = markingClock(original[name], a)
	}
	return functions, nil
}

func objectOf(raw json.RawMessage) (object map[string]any, err error) {
	err = utiljson.Unmarshal(raw, &object) // whole numbers stay integers, as from a cluster
	return object, err
}

// lookup decodes anew at each call, because a template may change what it was given.
func lookup(declared []json.RawMessage, a *answer, call lookupCall) map[string]any {
	items := []any{}
	var single map[string]any
	for _, raw := range declared {
		object, _ := objectOf(raw)
		metadata, _ := object["metadata"].(map[string]any)
		namespace, _ := metadata["namespace"].(string)
		if object["apiVersion"] != call.APIVersion || object["kind"] != call.Kind {
			continue
		}
		if call.Name == "" && (call.Namespace == "" || namespace == "" || namespace == call.Namespace) {
			items = append(items, object)
		} else if call.Name != "" && single == nil && metadata["name"] == call.Name && (namespace == "" || namespace == call.Namespace) {
			single = object
		}
	}
	call.Found = single != nil || len(items) > 0
	if len(a.Lookups) < lookupCallsMax && !slices.Contains(a.Lookups, call) {
		a.Lookups = append(a.Lookups, call)
	}
	switch {
	case single != nil:
		return single
	case len(items) > 0:
		return map[string]any{"apiVersion": call.APIVersion, "kind": call.Kind + "List", "metadata": map[string]any{}, "items": items}
	default:
		return map[string]any{}
	}
}

func seeded() *rand.Rand {
	var bytes [8]byte
	_, _ = crypto.Read(bytes[:]) // never fails: Go ends the program instead
	return rand.New(rand.NewSource(int64(binary.LittleEndian.Uint64(bytes[:]))))
}

func sortedKeys(dicts ...map[string]any) []string {
	keys := []string{}
	for _, dict := range dicts {
		keys = append(keys, slices.Sorted(maps.Keys(dict))...)
	}
	return keys
}

func orderedValues(dict map[string]any) []any {
	values := []any{}
	for _, key := range slices.Sorted(maps.Keys(dict)) {
		values = append(values, dict[key])
	}
	return values
}

func markingClock(original any, a *answer) any {
	function := reflect.ValueOf(original)
	return reflect.MakeFunc(function.Type(), func(arguments []reflect.Value) []reflect.Value {
		a.ClockRead = true
		if function.Type().IsVariadic() {
			return function.CallSlice(arguments)
		}
		return function.Call(arguments)
	}).Interface()
}
