import type { Checked } from "./checked.ts";
import { isLoopback } from "./fields.ts";
import { isWritten, keysAt, locate } from "./tree.ts";

/** The two listeners never share a port. */
export function checkListeners({ config, root, report }: Checked): void {
  const { server, admin } = config;
  if (report.spoiled(["server", "listen"]) || report.spoiled(["admin", "listen"])) return;
  if (server.listen.port === 0 || server.listen.port !== admin.listen.port) return;
  report.problem([isWritten(root, ["admin", "listen"]) ? "admin" : "server", "listen"], {
    message: "has the port of the other listener; what the Internet reaches must not be what you reach",
    fix: `write another port, such as ${server.listen.host}:${server.listen.port === 65_535 ? 8080 : server.listen.port + 1}`,
  });
}

/** A token of fewer characters can be guessed, slowed down or not. */
const TOKEN_LENGTH = 16;

/** Whoever has the admin token has everything. */
export function checkAdminToken({ config, report }: Checked, token: string | undefined): void {
  if (token === undefined || token.length >= TOKEN_LENGTH) return;
  report.warning(["admin", config.admin.token === undefined ? "token_file" : "token"], {
    message: "is short enough to be guessed",
    fix: `write at least ${TOKEN_LENGTH} characters that nobody can know, or leave it out: one is made at the first start`,
  });
}

/** Twilio must be told where to call, and be able to. */
export function checkPublicUrl({ config, root, report }: Checked): void {
  const path = ["server", "public_url"];
  const called = Object.entries(config.channels).filter(
    ([id, { provider, enabled, inbound }]) =>
      provider === "twilio" &&
      enabled &&
      inbound === "webhook" &&
      !["provider", "enabled", "inbound"].some((key) => report.spoiled(["channels", id, key])),
  );
  const url = config.server.public_url;
  const needing = called.filter(([, channel]) => !channel.insecure_no_signature).map(([id]) => id);
  const [first] = needing;
  if (url === undefined && first !== undefined && !report.spoiled(path)) {
    const inServer = keysAt(root, []).includes("server");
    report.problem(path, {
      at: inServer ? path : ["channels", first, "inbound"],
      message: `is missing; ${needing.map((id) => `channels.${id}`).join(", ")} receives by webhook, and Twilio must know where`,
      fix: "write public_url: https://… under server: (what Twilio calls), or inbound: poll in the channel",
    });
  }
  if (url === undefined || report.spoiled(path)) return;
  const { source } = locate(root, path);
  if (source.kind === "scalar" && String(source.value).includes("#")) {
    report.warning(path, {
      message: "has a fragment (#…), which is left out: no request carries one",
      fix: "write it without the part from # on",
    });
  }
  const { hostname, protocol } = new URL(url);
  if (protocol === "http:" && !isLoopback(hostname)) {
    report.warning(path, {
      message: "is not encrypted: texts and signatures can be read on the way",
      fix: "write an https URL",
    });
  }
  const twilios = called.filter(([, channel]) =>
    (channel.api_url ?? config.twilio.api_url).includes(".twilio.com"),
  );
  if (isLoopback(hostname) && twilios.length > 0) {
    report.warning(path, {
      message: "is an address of this machine, which Twilio cannot reach",
      fix: "write the URL under which the Internet reaches this machine, or inbound: poll in the channel",
    });
  }
}
