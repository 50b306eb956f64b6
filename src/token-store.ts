import type { Scope } from "./token.ts";

/** API tokens. The token itself is not kept, only its SHA-256. */
export interface TokenStore {
  addToken(token: StoredToken, hash: string): Promise<void>;
  /** Newest first. */
  tokens(): Promise<readonly StoredToken[]>;
  tokenByHash(hash: string): Promise<StoredToken | undefined>;
  /** False when there is none with this id. */
  deleteToken(id: string): Promise<boolean>;
  noteTokenUse(id: string, at: number): Promise<void>;
}

export interface StoredToken {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** The channels it is limited to; absent for all. */
  readonly channels?: readonly string[];
  readonly createdAt: number;
  readonly expiresAt?: number;
  /** To the minute. */
  readonly lastUsedAt?: number;
}
