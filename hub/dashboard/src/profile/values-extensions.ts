import { autocompletion, completionKeymap, type CompletionContext, type CompletionResult } from '@codemirror/autocomplete';
import type { Extension } from '@codemirror/state';
import { hoverTooltip, keymap, type EditorView, type Tooltip } from '@codemirror/view';
import { offersAt, placeAt, tellAbout, type Guide } from './guide.ts';

const types = { key: 'property', value: 'constant', reference: 'variable' } as const;

const complete = (guide: () => Guide, context: CompletionContext): CompletionResult | null => {
  const place = placeAt(context.state.doc.toString(), context.pos);
  if (place === undefined || (!context.explicit && place.key === undefined && place.from === context.pos)) return null;
  const options = offersAt(guide(), place).map(({ label, detail, info, kind }) => ({
    label,
    type: types[kind],
    apply: kind === 'key' ? `${label}: ` : label,
    ...(detail === undefined ? {} : { detail }),
    ...(info === undefined ? {} : { info }),
  }));
  return options.length === 0 ? null : { from: place.from, options, validFor: place.key === undefined ? /^[\w./-]*$/ : /^[^\s]*$/ };
};

const tip = (text: string, position: number): Tooltip => ({
  pos: position,
  create: () => {
    const dom = document.createElement('div');
    dom.className = 'cm-told';
    dom.textContent = text;
    return { dom };
  },
});

const tell = (guide: () => Guide, view: EditorView, position: number): Tooltip | null => {
  const line = view.state.doc.lineAt(position);
  const colon = line.text.indexOf(':');
  if (colon < 0 || position - line.from > colon) return null;
  const place = placeAt(view.state.doc.toString(), line.from + colon + 1);
  if (place?.key === undefined) return null;
  const told = tellAbout(guide(), [...place.path, place.key]);
  const text = [told?.detail, told?.info].filter((part) => part !== undefined).join('. ');
  return text === '' ? null : tip(text, position);
};

/** Completion and hover texts out of what is known about the values; asked anew each time, since the pack may arrive later than the editor. */
export const guided = (guide: () => Guide): Extension => [
  autocompletion({ override: [(context) => complete(guide, context)], icons: false, maxRenderedOptions: 60 }),
  keymap.of(completionKeymap),
  hoverTooltip((view, position) => tell(guide, view, position)),
];
