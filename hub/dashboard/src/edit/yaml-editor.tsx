import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { bracketMatching, foldGutter, foldKeymap, indentOnInput } from '@codemirror/language';
import { lintGutter, setDiagnostics } from '@codemirror/lint';
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search';
import { EditorState, type Extension } from '@codemirror/state';
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from '@codemirror/view';
import { useEffect, useEffectEvent, useRef, type ReactElement } from 'react';
import type { DocumentProblem } from './check-document.ts';
import { editorLook } from './theme.ts';

interface YamlEditorProps {
  label: string;
  text: string;
  problems: readonly DocumentProblem[];
  onChange: (text: string) => void;
  isReadOnly?: boolean;
  /** Completion and the like; read once, when the editor opens. */
  more?: Extension;
  onBlur?: () => void;
  /** The editor once it is there; whoever shows it keeps it, to jump to a place. */
  view: EditorView | null;
  onView: (view: EditorView | null) => void;
}

const open = (parent: HTMLElement, label: string, isReadOnly: boolean, onChange: (text: string) => void, more: Extension): EditorView =>
  new EditorView({
    parent,
    state: EditorState.create({
      doc: '',
      extensions: [
        more,
        editorLook(),
        lineNumbers(),
        foldGutter(),
        lintGutter(),
        history(),
        drawSelection(),
        indentOnInput(),
        bracketMatching(),
        highlightActiveLine(),
        highlightActiveLineGutter(),
        highlightSelectionMatches(),
        search({ top: true }),
        yaml(),
        EditorState.tabSize.of(2),
        EditorState.readOnly.of(isReadOnly),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'false', tabindex: '0' }),
        // Tab is left to the browser: it leads out of the editor, so that the keyboard is not trapped.
        keymap.of([...defaultKeymap, ...historyKeymap, ...searchKeymap, ...foldKeymap]),
        EditorView.updateListener.of((update) => update.docChanged && onChange(update.state.doc.toString())),
      ],
    }),
  });

export const YamlEditor = ({ label, text, problems, onChange, isReadOnly = false, more = [], onBlur, view, onView }: YamlEditorProps): ReactElement => {
  const box = useRef<HTMLDivElement>(null);
  const tell = useEffectEvent(onChange);
  const show = useEffectEvent(onView);
  const blur = useEffectEvent(() => onBlur?.());
  const extra = useEffectEvent((): Extension => [more, EditorView.domEventHandlers({ blur: () => blur() })]);
  useEffect(() => {
    if (box.current === null) return undefined;
    const editor = open(box.current, label, isReadOnly, (next) => tell(next), extra());
    show(editor);
    return () => {
      editor.destroy();
      show(null);
    };
  }, [label, isReadOnly]);
  useEffect(() => {
    if (view === null || view.state.doc.toString() === text) return;
    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
  }, [text, view]);
  useEffect(() => {
    if (view === null) return;
    const end = view.state.doc.length;
    const list = problems.map(({ from, to, message, severity = 'error' }) => ({ from: Math.min(from, end), to: Math.min(to, end), message, severity }));
    view.dispatch(setDiagnostics(view.state, list));
  }, [problems, view]);
  return <div className="editor" ref={box} />;
};

/** Puts the cursor at a problem and brings it into view. */
export const jumpTo = (editor: EditorView | null, from: number): void => {
  if (editor === null) return;
  const at = Math.min(from, editor.state.doc.length);
  editor.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: 'center' }) });
  editor.focus();
};
