import { fail } from '@groundplane/protocol/failure';
import type { Http, HttpRequest, HttpResponse } from '@groundplane/hub/port/http';

/** Where the power goes: before call `at` was sent, or after it was done and before its answer came. Calls count from 1. */
export interface Cut {
  at: number;
  when: 'before' | 'after';
}

/** A life of the hub that ends at a given call: from there on nothing goes out any more, whoever tries. */
export const cutHttp = (http: Http, cut?: Cut) => {
  let calls = 0;
  let isCut = false;
  const gone = fail('retry', 'cloud-unreachable', 'power', 'the power is gone');
  return {
    calls: (): number => calls,
    isCut: (): boolean => isCut,
    http: (async (request) => {
      if (isCut) return gone;
      calls += 1;
      if (cut === undefined || calls < cut.at) return http(request);
      isCut = true;
      if (cut.when === 'after') await http(request);
      return gone;
    }) satisfies Http,
  };
};

/** Answers in the environment's stead, as long as it says something. */
export const answeringHttp =
  (http: Http, answer: (request: HttpRequest) => HttpResponse | undefined): Http =>
  async (request) => {
    const said = answer(request);
    return said === undefined ? http(request) : { ok: true, value: said };
  };

/** AWS asks by POST too, and says so in its action. */
const readingAction = /(?:^|&)Action=(?:Describe|Get|List)|\.(?:Describe|Get|List)\w+$/;
export const isReading = ({ method, headers, body }: HttpRequest): boolean =>
  method === 'GET' || method === 'HEAD' || readingAction.test(headers['x-amz-target'] ?? (typeof body === 'string' ? body : ''));
