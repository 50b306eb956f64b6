import { type ApiAnswer, PATIENCE, type Service, SMS } from "../support/service.ts";

/** A second number, in signal mode. */
export const CODES = "+15550100002";
/** A sender of codes. */
export const BANK = "22000";

/** `sms` answers, `codes` captures. */
export const TWO_CHANNELS = {
  channels: {
    sms: SMS,
    codes: { provider: "simulator", from_number: CODES, mode: "signal" },
  },
} as const;

export interface TokenRequest {
  readonly name?: string;
  readonly scopes: readonly string[];
  readonly channels?: readonly string[];
  readonly expires_in?: string | number;
}

/** Makes a token and answers it, with its id. */
export async function makeToken(
  service: Service,
  request: TokenRequest,
): Promise<{ readonly id: string; readonly token: string }> {
  const { status, body } = await service.api("POST", "/tokens", { name: "a test", ...request });
  if (status !== 201) throw new Error(`the token was not made: ${JSON.stringify(body)}`);
  return body;
}

/** Calls the API as the holder of a token. */
export type As = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<ApiAnswer>;

/** The API for the holder of a fresh token. */
export async function holder(service: Service, request: TokenRequest): Promise<As> {
  return as(service, (await makeToken(service, request)).token);
}

export function as(service: Service, token: string): As {
  return (method, path, body, headers) =>
    service.api(method, path, body, { ...headers, authorization: `Bearer ${token}` });
}

/** A request outside /api/v1. */
export async function adminGet(service: Service, path: string, token?: string): Promise<number> {
  const response = await fetch(`${service.adminUrl}${path}`, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(PATIENCE),
  });
  await response.text();
  return response.status;
}

/** A code comes in on the signal channel. Resolves when it is admitted. */
export function code(service: Service, text: string, from = BANK): Promise<string> {
  return service.admitted(from, text, CODES);
}
