/**
 * Refusals as Twilio words their bodies: `{"code","message","more_info","status"}`. Codes are those of
 * https://www.twilio.com/docs/api/errors; the messages are our own.
 */
export interface Refusal {
  readonly code: number;
  readonly status: number;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Codes whose HTTP status is not 400. */
const STATUS: Readonly<Record<number, number>> = {
  20003: 401,
  20004: 405,
  20009: 409,
  20404: 404,
  20429: 429,
  20500: 500,
  20503: 503,
  21701: 404,
  21710: 409,
  30409: 409,
};

export function refusal(code: number, message: string, status = STATUS[code] ?? 400): Refusal {
  return code === 20003
    ? { code, status, message, headers: { "WWW-Authenticate": 'Basic realm="Twilio API"' } }
    : { code, status, message };
}

export function notFound(path: string): Refusal {
  return refusal(20404, `The requested resource ${path} was not found`);
}

export function isRefusal(value: object): value is Refusal {
  return "code" in value && "status" in value && "message" in value;
}

export function refuse(what: Refusal): Response {
  const body = {
    code: what.code,
    message: what.message,
    more_info: `https://www.twilio.com/docs/errors/${what.code}`,
    status: what.status,
  };
  return answer(what.status, body, what.headers);
}

export function answer(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "Content-Type": "application/json;charset=utf-8", ...headers },
  });
}
