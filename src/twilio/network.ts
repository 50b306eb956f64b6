/** Why a request got no answer, in words; `sent` tells whether the other side may have got it. */
export interface NetworkFailure {
  /** False only where the failure proves that no request left: no connection, no trusted TLS peer. */
  readonly sent: boolean;
  readonly reason: string;
  readonly fix: string;
}

/**
 * `code` of the errors with which fetch says that no connection was made. Bun 1.4 reports ECONNREFUSED for
 * every failed connect; the other spellings are those of earlier Bun and of Node. A connection that is cut
 * during the TLS handshake is ECONNRESET in Bun, like one cut after the request: it counts as sent.
 */
const NO_CONNECTION = new Set([
  "ECONNREFUSED",
  "ConnectionRefused",
  "FailedToOpenSocket",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "UND_ERR_CONNECT_TIMEOUT",
]);

const NO_NAME = new Set(["ENOTFOUND", "EAI_AGAIN", "EAI_NODATA", "EAI_NONAME", "EAI_FAIL", "DNSException"]);

/** Checks of the server's certificate, made before the request is written. Names from OpenSSL's x509. */
const CERTIFICATE =
  /^(CERT_|ERR_TLS_CERT_|UNABLE_TO_(GET|VERIFY|DECRYPT|DECODE)|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|ERROR_IN_CERT)/;

/** Reads what an injected fetch threw. `host` is named in the reason; the error's own text is not used. */
export function networkFailure(error: unknown, host: string): NetworkFailure {
  const code = errorCode(error);
  if (NO_CONNECTION.has(code))
    return {
      sent: false,
      reason: `no connection to ${host} could be made`,
      fix: "Check this machine's network and firewall; it is tried again by itself.",
    };
  if (code.startsWith("ERR_INVALID_"))
    return {
      sent: false,
      reason: `${host} is no address that can be called`,
      fix: "Check the configured URL.",
    };
  if (NO_NAME.has(code))
    return {
      sent: false,
      reason: `the name ${host} cannot be resolved`,
      fix: "Check this machine's network and DNS; it is tried again by itself.",
    };
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID")
    return {
      sent: false,
      reason: `the certificate of ${host} is not valid at this machine's time`,
      fix: "Check this machine's clock first, then the certificate.",
    };
  if (CERTIFICATE.test(code))
    return {
      sent: false,
      reason: `the certificate of ${host} is not trusted (${code})`,
      fix: "Check the address and what intercepts TLS on the way; the system's CA list may be too old.",
    };
  if (code === "EPROTO" && message(error).includes("TLS handshake failed"))
    return {
      sent: false,
      reason: `${host} does not speak TLS on this port`,
      fix: "Check the address: https or http, and the port.",
    };
  return {
    sent: true,
    reason: `the connection to ${host} was cut${code === "" ? "" : ` (${code})`}`,
    fix: "It is tried again by itself; check the network when it stays so.",
  };
}

/** The `code` of an error or of its cause; "" when there is none. */
function errorCode(error: unknown): string {
  for (const candidate of [error, error instanceof Error ? error.cause : undefined]) {
    if (typeof candidate === "object" && candidate !== null && "code" in candidate) {
      if (typeof candidate.code === "string" && /^[A-Za-z0-9_]{1,60}$/.test(candidate.code))
        return candidate.code;
    }
  }
  return "";
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : "";
}
