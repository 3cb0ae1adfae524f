import type { HelmRequest } from '@groundplane/hub/render/helm/types';

/** Every kind of `--set`, over one chart that prints its values. */
export const setCases: [string, Partial<HelmRequest>][] = [
  ['set: types', { sets: [{ as: 'set', text: 'i=1,b=true,n=null,s=text,f=1.5,e=,big=12345678901,lead=007,esc=a\\,b,dot\\.key=1,q="x y"' }] }],
  [
    'set: lists',
    {
      sets: [
        { as: 'set', text: 'list[0].n=5,list[2].n=7,new[1]=x,a.c.e[1]=20' },
        { as: 'set', text: 'l={a,b,1,true}' },
        { as: 'set', text: 'empty={}' },
      ],
    },
  ],
  [
    'set: deletes and deep paths',
    {
      sets: [
        { as: 'set', text: 'a.b=null,a.c.d=null' },
        { as: 'set', text: 'x.y.z[0].w=1' },
      ],
    },
  ],
  ['set over layers', { values: ['a: {b: 5}\n'], sets: [{ as: 'set', text: 'a.b=6' }] }],
  [
    'set-string: what looks like something else stays text',
    {
      sets: [
        { as: 'string', text: 'i=1,b=true,n=null,big=12345678901,lead=007,esc=a\\,b,dot\\.key=1' },
        { as: 'string', text: 'l={1,true,x},list[1]=8' },
      ],
    },
  ],
  [
    'set-json: values and whole objects',
    {
      sets: [
        { as: 'json', text: 'o={"a":1,"b":[true,null,"x"]},p="text",list[0]={"n":5}' },
        { as: 'json', text: ' {"a": {"b": 7, "new": {"x": null}}, "s": "merged"}' },
      ],
    },
  ],
  ['set-literal: the text as it is', { sets: [{ as: 'literal', text: 'a.b={x, y}=z\\,"w"' }] }],
  [
    'set-file: contents of files',
    {
      sets: [
        { as: 'file', text: 'cert=one.pem,a.b=two.txt', files: { 'one.pem': '-----BEGIN\nline: two\n', 'two.txt': '42' } },
        { as: 'literal', text: 'after=1' },
      ],
    },
  ],
  [
    'all kinds of set, in order',
    {
      values: ['k: file\n'],
      sets: [
        { as: 'json', text: 'k={"a":1}' },
        { as: 'set', text: 'k.b=2' },
        { as: 'string', text: 'k.c=3' },
        { as: 'literal', text: 'k.d=4' },
      ],
    },
  ],
];
