import type { Result } from '@groundplane/protocol/failure';
import type { Step, StepKind } from '@groundplane/protocol/plan/steps';
import type { AgentWrite } from '../port/store.ts';
import { awaitAgent, updateAgent } from './agent.ts';
import type { ExecuteContext, Executor } from './context.ts';
import { runHook } from './hooks.ts';
import { beginLayer, commit, finishLayer, forgetLayer, relabelLayer } from './layers.ts';
import { reloadUnits, restoreFile, restoreSysctl, restoreUnit, setSysctl, setUnit, writeFile } from './os.ts';
import { restoreExtensions, setExtensions } from './os-extensions.ts';
import { activateImage, stageImage } from './os-image.ts';
import { loadModule, restoreModule, restoreUser, setUser } from './os-accounts.ts';
import { restorePackages, setPackages } from './os-packages.ts';
import { applyObject, ensureNamespace, pruneObject, releaseObject } from './packs.ts';
import { awaitReady } from './readiness.ts';
import { lookForReboot, rebootHost } from './reboot.ts';

/** Who does which step. The type asks for every step there is. */
const executors: { [K in StepKind]: Executor<K> } = {
  beginLayer,
  writeFile,
  restoreFile,
  setSysctl,
  restoreSysctl,
  reloadUnits,
  setUnit,
  restoreUnit,
  setPackages,
  restorePackages,
  loadModule,
  restoreModule,
  setUser,
  restoreUser,
  setExtensions,
  restoreExtensions,
  stageImage,
  activateImage,
  rebootHost,
  lookForReboot,
  updateAgent,
  awaitAgent,
  ensureNamespace,
  applyObject,
  pruneObject,
  releaseObject,
  runHook,
  awaitReady,
  finishLayer,
  relabelLayer,
  forgetLayer,
  commit,
};

export const executeStep = (step: Step, context: ExecuteContext): Promise<Result<AgentWrite[]>> =>
  (executors[step.step] as (args: Step, context: ExecuteContext) => Promise<Result<AgentWrite[]>>)(step, context);
