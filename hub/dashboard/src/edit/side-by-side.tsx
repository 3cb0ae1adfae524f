import { yaml } from '@codemirror/lang-yaml';
import { MergeView } from '@codemirror/merge';
import { EditorState, type Extension } from '@codemirror/state';
import { EditorView, lineNumbers } from '@codemirror/view';
import { useEffect, useRef, type ReactElement } from 'react';
import { editorLook } from './theme.ts';

const side = (label: string): Extension => [
  editorLook(),
  lineNumbers(),
  yaml(),
  EditorState.readOnly.of(true),
  EditorView.editable.of(false),
  EditorView.lineWrapping,
  EditorView.contentAttributes.of({ 'aria-label': label, tabindex: '0' }),
];

/** Two texts beside each other with their differences marked; long equal parts are folded. */
export const SideBySide = ({ before, after, labels }: { before: string; after: string; labels: readonly [string, string] }): ReactElement => {
  const box = useRef<HTMLDivElement>(null);
  const [left, right] = labels;
  useEffect(() => {
    if (box.current === null) return undefined;
    const merge = new MergeView({
      parent: box.current,
      a: { doc: before, extensions: side(left) },
      b: { doc: after, extensions: side(right) },
      collapseUnchanged: { margin: 4, minSize: 8 },
      gutter: true,
    });
    return () => merge.destroy();
  }, [before, after, left, right]);
  return <div className="merge" ref={box} />;
};
