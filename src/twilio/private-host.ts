import { BlockList, isIP } from "node:net";

/** What is no address of the public Internet: IANA's special-purpose registries (RFC 6890 and its updates). */
const SPECIAL = new BlockList();
for (const [net, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const)
  SPECIAL.addSubnet(net, bits, "ipv4");
/** Of IPv6 only 2000::/3 is handed out; what is taken out of it here carries IPv4 or is for documents. */
const GLOBAL = new BlockList();
GLOBAL.addSubnet("2000::", 3, "ipv6");
const TAKEN_OUT = new BlockList();
for (const [net, bits] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const)
  TAKEN_OUT.addSubnet(net, bits, "ipv6");

/** True for an address, or a name, that does not belong to the public Internet. Takes a URL's `hostname` too. */
export function isPrivateHost(host: string): boolean {
  const name = bare(host);
  switch (isIP(name)) {
    case 4:
      return SPECIAL.check(name, "ipv4");
    case 6:
      return !GLOBAL.check(name, "ipv6") || TAKEN_OUT.check(name, "ipv6");
    default:
      return !name.includes(".") || /\.(localhost|local|internal|intranet|lan|home|home\.arpa)$/.test(name);
  }
}

/** This machine itself. */
export function isLoopback(host: string): boolean {
  const name = bare(host);
  return name === "localhost" || name === "::1" || (isIP(name) === 4 && name.startsWith("127."));
}

function bare(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "");
}
