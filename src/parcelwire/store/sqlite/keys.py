"""The secret key of a file: whether it is the right one, and values encrypted again with a newer one."""

import sqlite3

from parcelwire.store.vault import PREFIX_BYTES, SEALED_COLUMNS, Vault, sign_key_place


def adopt(connection: sqlite3.Connection, vault: Vault) -> bool:
    """Work with the root that the file keeps; False when it keeps none yet.

    ConfigError when what is encrypted here was encrypted with a secret key that ``vault`` does not have.
    """
    row = connection.execute("SELECT value FROM meta WHERE key = 'root'").fetchone()
    if row is not None:
        vault.adopt(bytes.fromhex(row[0]))
        return True
    row = connection.execute("SELECT id, sign_key FROM account ORDER BY id LIMIT 1").fetchone()
    if row is not None:
        vault.open(row[1], sign_key_place(row[0]))
    return False


def keep_root(connection: sqlite3.Connection, vault: Vault) -> None:
    """Adopt the root of the file, or make the vault's own its root."""
    if not adopt(connection, vault):
        connection.execute("INSERT INTO meta VALUES ('root', ?)", (vault.seal_root().hex(),))


def reseal(c: sqlite3.Connection, vault: Vault, most: int) -> int:
    """Encrypt at most so many values again; answers how many it was."""
    vault.refresh()
    done = 0
    for table, column, place_of in SEALED_COLUMNS:
        rows = c.execute(
            f"SELECT id, {column} FROM {table} WHERE substr({column}, 1, ?) <> ? LIMIT ?",
            (PREFIX_BYTES, vault.newest, most - done),
        ).fetchall()
        for row, sealed in rows:
            again = vault.seal(vault.open(sealed, place_of(row)), place_of(row))
            c.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (again, row))
        done += len(rows)
    (root,) = c.execute("SELECT value FROM meta WHERE key = 'root'").fetchone()
    if done < most and not bytes.fromhex(root).startswith(vault.newest):
        c.execute("UPDATE meta SET value = ? WHERE key = 'root'", (vault.seal_root().hex(),))
        done += 1
    return done
