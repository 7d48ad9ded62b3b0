drop function guard.end_long_sessions(interval, interval);
