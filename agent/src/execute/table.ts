import { fail, type Result } from '@groundplane/protocol/failure';
import { stepText, type Step, type StepKind } from '@groundplane/protocol/plan/steps';
import type { AgentWrite } from '../port/store.ts';
import { awaitAgent, updateAgent } from './agent.ts';
import type { ExecuteContext, Executor } from './context.ts';
import { runHook } from './hooks.ts';
import { endTurn, giveTurn, inviteHost, removeNode, setNodeTraits } from './keeper.ts';
import {
  initKubernetes,
  joinKubernetes,
  leaveKubernetes,
  markApplied,
  placeProgram,
  removePrograms,
  renewCertificates,
  healServicePath,
  repairKubernetes,
  saveDatastore,
  setHostNames,
  startKubernetes,
  upgradeKubernetes,
} from './kubernetes.ts';
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
  placeProgram,
  removePrograms,
  setHostNames,
  initKubernetes,
  joinKubernetes,
  startKubernetes,
  healServicePath,
  repairKubernetes,
  renewCertificates,
  saveDatastore,
  upgradeKubernetes,
  markApplied,
  leaveKubernetes,
  inviteHost,
  removeNode,
  giveTurn,
  setNodeTraits,
  endTurn,
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

/** A machine can answer in ways that nobody thought of; an agent that dies of it would start, plan the same and die again. */
export const executeStep = async (step: Step, context: ExecuteContext): Promise<Result<AgentWrite[]>> => {
  try {
    return await (executors[step.step] as (args: Step, context: ExecuteContext) => Promise<Result<AgentWrite[]>>)(step, context);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (!/^E[A-Z]+$/.test(code)) throw error;
    return fail('retry', 'host-error', stepText(step), error instanceof Error ? error.message : code);
  }
};
