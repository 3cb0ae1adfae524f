import type { BundleObject, ReadyCheck } from '@groundplane/protocol/bundle';
import type { Finding } from '@groundplane/protocol/finding';
import type { ReadinessCheck } from '@groundplane/protocol/pack/readiness';

const matches = (check: ReadinessCheck, { ref }: BundleObject): boolean =>
  ref.kind === check.kind &&
  (check.apiVersion === undefined || check.apiVersion === ref.apiVersion) &&
  (check.name === undefined || check.name === ref.name) &&
  (check.namespace === undefined || ref.namespace === undefined || check.namespace === ref.namespace);

/**
 * Puts a pack's readiness checks onto the objects that they are about. A check about something that the layer does not make (an operator does, say) is told:
 * the agent waits for what it applies.
 */
export const withReadyChecks = (objects: readonly BundleObject[], checks: readonly ReadinessCheck[]): { objects: BundleObject[]; warnings: Finding[] } => {
  const unmatched = checks.filter((check) => !objects.some((object) => matches(check, object)));
  const changed = objects.map((object) => {
    const own = checks
      .filter((check) => matches(check, object) && (check.condition !== undefined || check.field !== undefined))
      .map(({ condition, field }): ReadyCheck => ({ ...(condition === undefined ? {} : { condition }), ...(field === undefined ? {} : { field }) }));
    return own.length === 0 ? object : { ...object, ready: own };
  });
  const warnings = unmatched.map(({ kind, name = '' }): Finding => ({
    severity: 'warning',
    code: 'readiness-unmatched',
    file: 'values.yaml',
    message: `readinessCheck names ${kind} ${name}, which this layer does not make; it is not waited for`,
  }));
  return { objects: changed, warnings };
};
