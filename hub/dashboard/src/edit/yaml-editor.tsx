import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { bracketMatching, foldGutter, foldKeymap, indentOnInput } from '@codemirror/language';
import { lintGutter, setDiagnostics } from '@codemirror/lint';
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search';
import { EditorState } from '@codemirror/state';
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from '@codemirror/view';
import { useEffect, useRef, type ReactElement, type RefObject } from 'react';
import type { DocumentProblem } from './check-document.ts';
import { editorLook } from './theme.ts';

interface YamlEditorProps {
  label: string;
  text: string;
  problems: readonly DocumentProblem[];
  onChange: (text: string) => void;
  isReadOnly?: boolean;
  /** Lets the list of problems jump to a place. */
  view: RefObject<EditorView | null>;
}

const open = (parent: HTMLElement, doc: string, label: string, isReadOnly: boolean, onChange: (text: string) => void): EditorView =>
  new EditorView({
    parent,
    state: EditorState.create({
      doc,
      extensions: [
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

export const YamlEditor = ({ label, text, problems, onChange, isReadOnly = false, view }: YamlEditorProps): ReactElement => {
  const box = useRef<HTMLDivElement>(null);
  const told = useRef(onChange);
  told.current = onChange;
  useEffect(() => {
    if (box.current === null) return undefined;
    const editor = open(box.current, '', label, isReadOnly, (next) => told.current(next));
    view.current = editor;
    return () => {
      editor.destroy();
      view.current = null;
    };
  }, [label, isReadOnly, view]);
  useEffect(() => {
    const editor = view.current;
    if (editor === null || editor.state.doc.toString() === text) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
  }, [text, view, label, isReadOnly]);
  useEffect(() => {
    const editor = view.current;
    if (editor === null) return;
    const end = editor.state.doc.length;
    const list = problems.map(({ from, to, message }) => ({ from: Math.min(from, end), to: Math.min(to, end), message, severity: 'error' as const }));
    editor.dispatch(setDiagnostics(editor.state, list));
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
