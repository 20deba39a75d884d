-- A refresh that makes a registration one of another kind moves it in the indexes of the list once. Two triggers did so
-- one after the other: to the old time among the new kind, which is a page in a random place, then to the new time.
-- Another sub-status of the same status moves nothing but the time.

DROP TRIGGER shipment_tracked;
DROP TRIGGER shipment_turned;
CREATE TRIGGER shipment_moved AFTER UPDATE OF phase, sub_status, code, trouble, asked_at, stopped_at ON shipment
WHEN new.phase <> 'looked_up' AND old.phase <> 'looked_up' BEGIN
  UPDATE listing SET code = now.code, status = now.status, stopped = now.stopped, sync = now.sync,
    track_at = now.track_at, stop_at = now.stop_at
  FROM listed AS now WHERE listing.shipment = new.id AND now.shipment = new.id
    AND (listing.code, listing.status, listing.stopped, listing.sync, listing.stop_at)
      IS NOT (now.code, now.status, now.stopped, now.sync, now.stop_at);
  UPDATE listing SET track_at = new.asked_at WHERE shipment = new.id AND track_at IS NOT new.asked_at;
END;
