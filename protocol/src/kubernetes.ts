import { z } from 'zod';

/** Any Kubernetes object. Everything but the identity is opaque here. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: KubeMetadata;
  [field: string]: unknown;
}

export interface KubeMetadata {
  name?: string;
  generateName?: string;
  namespace?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  finalizers?: string[];
  managedFields?: ManagedFieldsEntry[];
  [field: string]: unknown;
}

export interface ManagedFieldsEntry {
  manager?: string;
  operation?: string;
  subresource?: string;
  apiVersion?: string;
  fieldsType?: string;
  fieldsV1?: FieldsV1;
  time?: string;
}

/** Kubernetes' field set: keys `f:name`, `k:{"name":"x"}`, `v:value`, `i:0` and `.`; values are nested sets. */
export type FieldsV1 = { [key: string]: FieldsV1 };

export const objectRefSchema = z.object({
  apiVersion: z.string().min(1).max(253),
  kind: z.string().min(1).max(63),
  namespace: z.string().max(63).optional(),
  name: z.string().min(1).max(253),
});
/** Identity of an object. `namespace` is absent for cluster-scoped kinds. */
export type ObjectRef = z.infer<typeof objectRefSchema>;

/** Group and kind without the version: what stays the same when an API version is promoted. */
export const refKey = (ref: ObjectRef): string => {
  const slash = ref.apiVersion.indexOf('/');
  const group = slash < 0 ? '' : ref.apiVersion.slice(0, slash);
  return `${group}/${ref.kind}/${ref.namespace ?? ''}/${ref.name}`;
};

/** `Deployment shop/web`, as people say it. */
export const refText = (ref: ObjectRef): string => `${ref.kind} ${ref.namespace === undefined ? '' : `${ref.namespace}/`}${ref.name}`;
