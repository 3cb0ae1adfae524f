import { createContext, useContext } from 'react';
import { removeValue, setOrRemove, setValue } from '../edit/change-document.ts';
import type { LayerSketch } from './layers.ts';

/** The document that is edited, shared by the parts of the editor. All of them change its text, so every comment of it lives on. */
export interface Draft {
  text: string;
  raw: unknown;
  layers: LayerSketch[];
  change: (edit: (text: string) => string) => void;
  /** The profile's declared variables. */
  variables: { name: string; sensitive: boolean; default: string | undefined; required: boolean; format: string; options: string[] }[];
}

const Context = createContext<Draft | undefined>(undefined);
export const DraftScope = Context.Provider;

export const useDraftScope = (): Draft => {
  const draft = useContext(Context);
  if (draft === undefined) throw new Error('a part of the profile editor is used outside of it');
  return draft;
};

type Path = readonly (string | number)[];

/** Edits of one layer. */
export const useLayerEdit = (layer: LayerSketch) => {
  const { change } = useDraftScope();
  const at = (path: Path): Path => ['spec', 'layers', layer.index, ...path];
  return {
    set: (path: Path, value: unknown) => change((text) => setValue(text, at(path), value)),
    setOrRemove: (path: Path, value: unknown) => change((text) => setOrRemove(text, at(path), value)),
    remove: (path: Path) => change((text) => removeValue(text, at(path))),
  };
};
