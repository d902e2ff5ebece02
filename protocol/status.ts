// The status codes of OK, ERROR and CONFIRM, named once.

/**
 * Status codes on the wire. 408 (a tracked message expired) and 410 (somebody
 * cancelled a request) are this broker's, the others the C protocol's.
 */
export const STATUS = {
  SUCCESS: 200,
  FAILED: 300,
  EXPIRED: 408,
  CANCELLED: 410,
  COMMAND_INVALID: 500,
  NOT_IMPLEMENTED: 501,
  INTERNAL_ERROR: 502,
} as const;

export type StatusCode = (typeof STATUS)[keyof typeof STATUS];
