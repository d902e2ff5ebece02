// The status codes of OK, ERROR and CONFIRM, named once.

/**
 * Status codes on the wire. 200 to 502 are the C protocol's; 408 is the code
 * with which this broker confirms a tracked message that expired.
 */
export const STATUS = {
  SUCCESS: 200,
  FAILED: 300,
  EXPIRED: 408,
  COMMAND_INVALID: 500,
  NOT_IMPLEMENTED: 501,
  INTERNAL_ERROR: 502,
} as const;

export type StatusCode = (typeof STATUS)[keyof typeof STATUS];
