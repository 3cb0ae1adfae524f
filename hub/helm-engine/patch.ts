import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

type Edit = (source: string) => string;

/** Replaces a text that has to be there exactly once. */
const swap =
  (from: string, to: string): Edit =>
  (source) => {
    const count = source.split(from).length - 1;
    if (count !== 1) throw new Error(`expected once, found ${count} times: ${from.slice(0, 120)}`);
    return source.replace(from, () => to);
  };

/** Removes a top-level declaration with the comment above it, from its first line to the `}` that closes it. */
const cut =
  (start: string): Edit =>
  (source) => {
    const at = source.indexOf(`\n${start}`) + 1;
    const end = source.indexOf('\n}\n', at);
    if (at === 0 || end < 0 || source.indexOf(`\n${start}`, at) >= 0) throw new Error(`expected one declaration: ${start}`);
    const before = source.slice(0, at).replace(/(?:\/\/[^\n]*\n)+$/, '');
    return before + source.slice(end + 3);
  };

const importLine = (name: string): Edit => swap(`\t${name}\n`, '');

/** What is told about a schema reference that Helm would have fetched. The engine has no network, and a render must not depend on one. */
const refusingLoader = `
type refusingLoader struct{}

func (refusingLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("the schema refers to %s, which is not loaded while rendering: "+
		"put the definition into the chart's own values.schema.json ($defs), or render without the schema check", url)
}
`;

const edits = (asked: { apiVersions: readonly string[]; clientGo: string }): Record<string, Edit[]> => ({
  // The engine without its client: lookup comes in as a custom function.
  'pkg/engine/engine.go': [
    importLine('"k8s.io/client-go/rest"'),
    swap('\t// optional provider of clients to talk to the Kubernetes API\n\tclientProvider *ClientProvider\n', ''),
    cut('func New('),
    cut('func RenderWithClient('),
    cut('func RenderWithClientProvider('),
    swap('\tif !e.LintMode && e.clientProvider != nil {\n\t\tfuncMap["lookup"] = newLookupFunction(ctx, *e.clientProvider)\n\t}\n', ''),
  ],
  // The list of built-in API versions is a constant of the client's version.
  'pkg/chart/common/capabilities.go': [
    importLine('"k8s.io/client-go/kubernetes/scheme"'),
    importLine('apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"'),
    importLine('apiextensionsv1beta1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1"'),
    cut('func allKnownVersions('),
    (source) => `${source}\nfunc allKnownVersions() VersionSet {\n\treturn VersionSet{${asked.apiVersions.map((v) => JSON.stringify(v)).join(', ')}}\n}\n`,
  ],
  'internal/version/clientgo.go': [
    importLine('"errors"'),
    importLine('"runtime/debug"'),
    importLine('"slices"'),
    importLine('_ "k8s.io/client-go/kubernetes" // Force k8s.io/client-go to be included in the build'),
    cut('func K8sIOClientGoModVersion('),
    (source) => `${source}\nfunc K8sIOClientGoModVersion() (string, error) { return ${JSON.stringify(asked.clientGo)}, nil }\n`,
  ],
  // A schema may not fetch: neither over HTTP nor from files.
  'pkg/chart/common/util/jsonschema.go': [
    ...['"context"', '"crypto/tls"', '"net/http"', '"time"', '"helm.sh/helm/v4/internal/version"'].map(importLine),
    swap('type HTTPURLLoader http.Client\n', `${refusingLoader}\n`),
    cut('func (l *HTTPURLLoader) Load('),
    cut('func newHTTPURLLoader('),
    swap('"file":  jsonschema.FileLoader{},', '"file":  refusingLoader{},'),
    swap('"http":  newHTTPURLLoader(),', '"http":  refusingLoader{},'),
    swap('"https": newHTTPURLLoader(),', '"https": refusingLoader{},'),
  ],
  // Only a hint in an error message needed the HTTP package.
  'pkg/chart/loader/archive/archive.go': [importLine('"net/http"'), swap('http.DetectContentType(buffer)', '"application/octet-stream"')],
  // Subcharts come in the order of their names, not of a Go map: the order shows in the list of CRDs.
  'pkg/chart/v2/loader/load.go': [
    swap('\t"path/filepath"\n', '\t"path/filepath"\n\t"slices"\n'),
    swap('\tfor n, files := range subcharts {\n', '\tfor _, n := range slices.Sorted(maps.Keys(subcharts)) {\n\t\tfiles := subcharts[n]\n'),
  ],
});

/** Files that rendering does not need: lookups in a cluster, and unpacking charts to disk (which would bring in a module under another licence). */
const unused = ['pkg/engine/lookup_func.go', 'pkg/chart/v2/util/expand.go'];

/** Patches a writable copy of Helm's module so that it compiles without the Kubernetes client and without a network. Throws when a text is not as expected. */
export const patchHelm = (helmFolder: string, asked: { apiVersions: readonly string[]; clientGo: string }): void => {
  for (const [name, list] of Object.entries(edits(asked))) {
    const file = path.join(helmFolder, name);
    try {
      writeFileSync(
        file,
        list.reduce((source, edit) => edit(source), readFileSync(file, 'utf8')),
      );
    } catch (cause) {
      throw new Error(`Helm's ${name} is not what patch.ts knows: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  }
  for (const name of unused) rmSync(path.join(helmFolder, name));
};
