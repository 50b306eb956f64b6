/**
 * Twilio's connection overrides, in the fragment of a webhook's URL: by default it gives up on the first
 * time-out and on every 5xx. Three retries of a connect time-out, a read time-out or a 5xx; a read time-out
 * of 3.5 s, so that all four tries fit in the 15 s Twilio allows in total.
 * https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
 */
export const CONNECTION_OVERRIDES = "#rc=3&rp=ct,rt,5xx&ct=2000&rt=3500&tt=15000";

/** The webhook as it is given to Twilio. */
export function registeredUrl(webhookUrl: string): string {
  return webhookUrl.replace(/#.*$/s, "") + CONNECTION_OVERRIDES;
}

/** True when both are the same request: overrides do not count, nor how host and default port are written. */
export function sameWebhook(left: string, right: string): boolean {
  return plain(left) === plain(right);
}

function plain(url: string): string {
  const bare = url.replace(/#.*$/s, "").trim();
  return URL.canParse(bare) ? new URL(bare).href : bare;
}

/** For logs and warnings: a query or a password of somebody else's webhook may be secret. */
export function shownUrl(url: string): string {
  if (!URL.canParse(url)) return "an address that is no URL";
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/**
 * Why Twilio would never call this URL, or take it as a callback; undefined when nothing speaks against it.
 * `apiUrl` tells whether it is Twilio itself: a simulator may well call a local address.
 */
export function unusable(webhookUrl: string, apiUrl: string): { reason: string; fix: string } | undefined {
  if (!URL.canParse(webhookUrl))
    return {
      reason: "server.public_url is no URL, so Twilio cannot be told our webhook.",
      fix: "Write it as https://sms.example.com.",
    };
  const { hostname, protocol } = new URL(webhookUrl);
  if (protocol !== "https:" && protocol !== "http:")
    return {
      reason: `Twilio cannot call ${protocol}// addresses.`,
      fix: "Set server.public_url to an https address.",
    };
  if (!URL.canParse(apiUrl) || !/(^|\.)twilio\.com$/.test(new URL(apiUrl).hostname)) return undefined;
  if (hostname.includes("_"))
    return {
      reason: `Twilio refuses callback URLs whose host has an underscore (${hostname}).`,
      fix: "Give the service a host name without an underscore in server.public_url.",
    };
  if (PRIVATE.test(hostname))
    return {
      reason: `Twilio cannot reach ${hostname}: it is an address of this machine or network.`,
      fix: "Set server.public_url to an address the Internet reaches (a tunnel will do), or use inbound: poll.",
    };
  return undefined;
}

/** Host names as `URL` writes them: an IPv4 address always has four numbers there. */
const PRIVATE =
  /^(localhost|.*\.(localhost|local|lan|internal)|(127|10)(\.\d+){3}|(192\.168|169\.254|172\.(1[6-9]|2\d|3[01]))(\.\d+){2}|0\.0\.0\.0|\[::1?\]|\[f[cde][0-9a-f]{2}:.*\])$/i;
