//go:build wasip1

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	"helm.sh/helm/v4/pkg/strvals"
)

// renderChart does what `helm template` does between reading its arguments and printing, in the same order of checks.
// What was learned about the chart stays in the answer when a later step fails.
func renderChart(q request, bundle []byte, a *answer) *failure {
	ch, err := loadChart(q.Archive, bundle)
	if err != nil {
		return failed("chart", err)
	}
	a.Chart = &chartFacts{Name: ch.Metadata.Name, Version: ch.Metadata.Version, AppVersion: ch.Metadata.AppVersion,
		Type: ch.Metadata.Type, APIVersion: ch.Metadata.APIVersion, Deprecated: ch.Metadata.Deprecated, Dependencies: []dependency{}}
	if err := checkChart(ch); err != nil {
		return failed("chart", err)
	}
	if err := chartutil.ValidateReleaseName(q.Release.Name); err != nil {
		return failed("release", fmt.Errorf("release name %q: %w", q.Release.Name, err))
	}
	values, err := mergeValues(q.Values, q.Sets)
	if err != nil {
		return failed("values", err)
	}
	if err := chartutil.ProcessDependencies(ch, values); err != nil {
		return failed("values", fmt.Errorf("chart dependencies processing failed: %w", err))
	}
	a.Chart.Dependencies = enabledDependencies(ch, ch.Name(), a.Chart.Dependencies)
	capabilities, err := capabilitiesOf(q)
	if err != nil {
		return failed("kubernetes", err)
	}
	options := common.ReleaseOptions{Name: q.Release.Name, Namespace: q.Release.Namespace, Revision: max(q.Release.Revision, 1),
		IsInstall: !q.Release.IsUpgrade, IsUpgrade: q.Release.IsUpgrade}
	top, err := commonutil.ToRenderValuesWithSchemaValidation(ch, values, options, capabilities, q.SkipSchema)
	if err != nil {
		return failed("schema", err)
	}
	a.Values = top["Values"]
	if wanted := ch.Metadata.KubeVersion; wanted != "" && !chartutil.IsCompatibleRange(wanted, capabilities.KubeVersion.String()) {
		return failed("kubernetes", fmt.Errorf("chart requires kubeVersion: %s which is incompatible with Kubernetes %s", wanted, capabilities.KubeVersion.Version))
	}
	functions, err := templateFunctions(q.Lookup, a)
	if err != nil {
		return failed("lookup", err)
	}
	files, err := engine.Engine{CustomTemplateFuncs: functions}.RenderWithContext(context.Background(), ch, top)
	if err != nil {
		return failed("template", err)
	}
	return collect(ch, files, a)
}

func loadChart(packed bool, bundle []byte) (*chart.Chart, error) {
	var files []*archive.BufferedFile
	var err error
	if packed {
		files, err = archive.LoadArchiveFiles(strings.NewReader(string(bundle)))
	} else {
		files, err = unframe(bundle)
	}
	if err != nil {
		return nil, fmt.Errorf("the chart cannot be read: %w", err)
	}
	return loader.LoadFiles(files)
}

// checkChart refuses what `helm install` refuses before it looks at values, with Helm's words.
func checkChart(ch *chart.Chart) error {
	if v := ch.Metadata.APIVersion; v != chart.APIVersionV1 && v != chart.APIVersionV2 {
		return fmt.Errorf("chart apiVersion %q is not supported: this engine renders v1 and v2", v)
	}
	if t := ch.Metadata.Type; t != "" && t != "application" {
		return fmt.Errorf("%s charts are not installable", t)
	}
	present := map[string]bool{}
	for _, d := range ch.Dependencies() {
		present[d.Name()] = true
	}
	var missing []string
	for _, d := range ch.Metadata.Dependencies {
		if !present[d.Name] {
			missing = append(missing, d.Name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("found in Chart.yaml, but missing in charts/ directory: %s", strings.Join(missing, ", "))
	}
	return nil
}

// mergeValues is `helm -f a -f b --set c`: later layers win, maps merge, and null stays in the map so that it deletes a chart default.
func mergeValues(layers []string, sets []setExpression) (map[string]any, error) {
	merged := map[string]any{}
	for i, text := range layers {
		layer, err := loader.LoadValues(strings.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("failed to parse values layer %d: %w", i+1, err)
		}
		merged = loader.MergeMaps(merged, layer)
	}
	for _, set := range sets {
		next, err := applySet(set, merged)
		if err != nil {
			return nil, fmt.Errorf("failed parsing %s data %q: %w", set.flag(), set.Text, err)
		}
		merged = next
	}
	return merged, nil
}

func (set setExpression) flag() string {
	if set.As == "set" {
		return "--set"
	}
	return "--set-" + set.As
}

// applySet answers the values with one expression applied; the map that it was given may have been changed.
func applySet(set setExpression, values map[string]any) (map[string]any, error) {
	switch set.As {
	case "set":
		return values, strvals.ParseInto(set.Text, values)
	case "string":
		return values, strvals.ParseIntoString(set.Text, values)
	case "literal":
		return values, strvals.ParseLiteralInto(set.Text, values)
	case "file":
		return values, strvals.ParseIntoFile(set.Text, values, func(path []rune) (any, error) {
			content, found := set.Files[string(path)]
			if !found {
				return nil, fmt.Errorf("file %q was not read", string(path))
			}
			return content, nil
		})
	case "json":
		// An object without a key is merged like a layer.
		if trimmed := strings.TrimSpace(set.Text); strings.HasPrefix(trimmed, "{") {
			layer := map[string]any{}
			if err := json.Unmarshal([]byte(trimmed), &layer); err != nil {
				return nil, err
			}
			return loader.MergeMaps(values, layer), nil
		}
		return values, strvals.ParseJSON(set.Text, values)
	default:
		return nil, fmt.Errorf("no such kind of expression: %q", set.As)
	}
}

// capabilitiesOf adds the given API versions to Helm's built-in ones, or takes them alone when a live cluster told them.
func capabilitiesOf(q request) (*common.Capabilities, error) {
	capabilities := common.DefaultCapabilities.Copy()
	if q.KubeVersion != "" {
		version, err := common.ParseKubeVersion(q.KubeVersion)
		if err != nil {
			return nil, fmt.Errorf("invalid kube version '%s': %w", q.KubeVersion, err)
		}
		capabilities.KubeVersion = *version
	}
	known := common.VersionSet{}
	if !q.APIVersionsOnly {
		known = append(known, capabilities.APIVersions...)
	}
	capabilities.APIVersions = append(known, q.APIVersions...)
	return capabilities, nil
}

func enabledDependencies(ch *chart.Chart, at string, list []dependency) []dependency {
	for _, d := range ch.Dependencies() {
		name := path.Join(at, d.Name())
		list = append(list, dependency{Path: name, Version: d.Metadata.Version, Type: d.Metadata.Type})
		list = enabledDependencies(d, name, list)
	}
	return list
}

// collect sorts rendered files as Helm does: notes apart, hooks apart, the rest in install order.
func collect(ch *chart.Chart, files map[string]string, a *answer) *failure {
	for name, text := range files {
		if strings.HasSuffix(name, "NOTES.txt") {
			if name == path.Join(ch.Name(), "templates", "NOTES.txt") {
				a.Notes = text
			}
			delete(files, name)
		}
	}
	hooks, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return failed("manifest", err)
	}
	for _, crd := range ch.CRDObjects() {
		a.CRDs = append(a.CRDs, document{Source: crd.Filename, Content: string(crd.File.Data)})
	}
	for _, m := range manifests {
		if m.Head == nil {
			return failed("manifest", errors.New(m.Name+" has no head"))
		}
		d := document{Source: m.Name, Content: m.Content, APIVersion: m.Head.Version, Kind: m.Head.Kind}
		if m.Head.Metadata != nil {
			d.Name = m.Head.Metadata.Name
		}
		a.Manifests = append(a.Manifests, d)
	}
	for _, h := range hooks {
		entry := hook{document: document{Source: h.Path, Content: h.Manifest, Kind: h.Kind, Name: h.Name}, Weight: h.Weight,
			Events: []string{}, DeletePolicies: []string{}, OutputLogPolicies: []string{}}
		for _, event := range h.Events {
			entry.Events = append(entry.Events, string(event))
		}
		for _, policy := range h.DeletePolicies {
			entry.DeletePolicies = append(entry.DeletePolicies, string(policy))
		}
		for _, policy := range h.OutputLogPolicies {
			entry.OutputLogPolicies = append(entry.OutputLogPolicies, string(policy))
		}
		a.Hooks = append(a.Hooks, entry)
	}
	return nil
}
