// The status codes of OK, ERROR and CONFIRM, named once.

/**
 * Status codes on the wire. 408 (a tracked message expired), 410 (somebody cancelled
 * a request), and by which a worker ends one, 400 (nobody can do it) and 503 (another
 * worker is to have it, and the attempt does not count), are this broker's; the others
 * are the C protocol's.
 */
export const STATUS = {
  SUCCESS: 200,
  FAILED: 300,
  BAD_INPUT: 400,
  EXPIRED: 408,
  CANCELLED: 410,
  COMMAND_INVALID: 500,
  NOT_IMPLEMENTED: 501,
  INTERNAL_ERROR: 502,
  NOT_READY: 503,
} as const;

export type StatusCode = (typeof STATUS)[keyof typeof STATUS];
