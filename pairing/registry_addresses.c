/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "pairing/registry_db.h"

/* In the table each address has its length before it, 4 or 16. */
#define PACKED_MAX (SH_ADDRESSES_MAX * 17)

static bool is_sound(const struct sh_addresses *addresses)
{
    if (addresses->port == 0 || addresses->count == 0 || addresses->count > SH_ADDRESSES_MAX)
        return false;
    for (size_t i = 0; i < addresses->count; i++) {
        if (addresses->list[i].len != 4 && addresses->list[i].len != 16)
            return false;
    }
    return true;
}

static size_t pack(const struct sh_addresses *addresses, uint8_t out[PACKED_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < addresses->count; i++) {
        const struct sh_address *address = &addresses->list[i];
        out[n++] = (uint8_t)address->len;
        memcpy(out + n, address->bytes, address->len);
        n += address->len;
    }
    return n;
}

static bool unpack(const uint8_t *packed, size_t n, struct sh_addresses *addresses)
{
    for (size_t at = 0; at < n;) {
        size_t len = packed[at++];
        if (addresses->count == SH_ADDRESSES_MAX || (len != 4 && len != 16) || n - at < len)
            return false;
        struct sh_address *address = &addresses->list[addresses->count++];
        memcpy(address->bytes, packed + at, len);
        address->len = len;
        at += len;
    }
    return is_sound(addresses);
}

enum sh_cause sh_registry_put_addresses(struct sh_registry *registry,
                                        const struct sh_addresses *addresses)
{
    uint8_t packed[PACKED_MAX];
    if (!is_sound(addresses))
        return sh_fail(SH_INTERNAL_BUG, "addresses that cannot be kept");
    sh_autostmt sqlite3_stmt *stmt = NULL;
    SH_TRY(sh_db_prepare(
        registry, "INSERT OR REPLACE INTO addresses (id, list, port) VALUES (?,?,?)", &stmt));
    sh_db_bind_blob(stmt, 1, addresses->id, sizeof(addresses->id));
    sh_db_bind_blob(stmt, 2, packed, pack(addresses, packed));
    sh_db_bind_int(stmt, 3, addresses->port);
    return sh_db_run(registry, stmt);
}

enum sh_cause sh_registry_get_addresses(struct sh_registry *registry,
                                        const uint8_t id[SH_DEVICE_ID_SIZE],
                                        struct sh_addresses *ret_addresses)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    struct sh_addresses addresses = {0};
    uint8_t packed[PACKED_MAX];
    bool row = false;
    size_t n = 0;
    SH_TRY(sh_db_prepare(registry, "SELECT list, port FROM addresses WHERE id = ?", &stmt));
    sh_db_bind_blob(stmt, 1, id, SH_DEVICE_ID_SIZE);
    SH_TRY(sh_db_step(registry, stmt, &row));
    if (!row)
        return SH_LINKED_UNKNOWN;
    int64_t port = sqlite3_column_int64(stmt, 1);
    memcpy(addresses.id, id, sizeof(addresses.id));
    addresses.port = port > 0 && port <= UINT16_MAX ? (uint16_t)port : 0;
    if (!sh_db_blob(stmt, 0, packed, sizeof(packed), &n) || !unpack(packed, n, &addresses))
        return sh_db_damaged(registry, "addresses");
    *ret_addresses = addresses;
    return SH_OK;
}
