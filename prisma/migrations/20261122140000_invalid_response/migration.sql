-- An answer that is not HTTP, or is more than Posthorn reads.
ALTER TYPE "attempt_error_code" ADD VALUE IF NOT EXISTS 'INVALID_RESPONSE' BEFORE 'BLOCKED_ADDRESS';
