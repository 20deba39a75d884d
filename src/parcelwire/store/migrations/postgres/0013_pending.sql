-- One index of the pushes that are pending, in the order in which an endpoint is sent them. Beside a second one
-- the planner has a choice, and after an hour in which nothing was pending it cannot know which is shorter:
-- in an outage the wrong one reads all that waits, at every claim.

DROP INDEX push_due, push_open;
CREATE INDEX push_due ON push (endpoint, send_at, change) WHERE state = 'pending';
CREATE INDEX push_dead ON push (endpoint) WHERE state = 'dead';
