-- What is old is found in the order in which it became so, a few rows at a time.

CREATE INDEX push_done ON push (done_at) WHERE done_at IS NOT NULL;
CREATE INDEX raw_reply_at ON raw_reply (at);
CREATE INDEX quota_entry_old ON quota_entry (at) WHERE reference <> period AND kind <> 'translate';
