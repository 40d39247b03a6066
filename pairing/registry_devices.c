/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pairing/registry_db.h"
#include "proto/log.h"

#define DEVICES_MAX 4096

#define COLUMNS                                                                                    \
    "id, relation, name, kind, eid, state, linked_at, last_seen, serial, not_after, epoch,"        \
    " last_revision, public_key, token, ca, resolving_key, metres, proximity_samples,"             \
    " score, spread, rate, level, policy"

const char *sh_device_state_name(enum sh_device_state state)
{
    switch (state) {
    case SH_DEVICE_PENDING:
        return "pending";
    case SH_DEVICE_AUTHORISED:
        return "authorised";
    case SH_DEVICE_EXPIRED:
        return "expired";
    case SH_DEVICE_REVOKED:
        return "revoked";
    }
    return "revoked";
}

void sh_device_set_proximity(struct sh_device *device, const struct sh_proximity_estimate *estimate,
                             enum sh_proximity_policy policy)
{
    device->metres = estimate->metres;
    device->proximity_samples = estimate->samples;
    device->score_db = estimate->evidence.score_db;
    device->spread_db = estimate->evidence.spread_db;
    device->rate_hz = estimate->evidence.rate_hz;
    device->level = estimate->evidence.level;
    device->policy = policy;
}

static void bind_device(sqlite3_stmt *stmt, const struct sh_device *device)
{
    sh_db_bind_blob(stmt, 1, device->id, sizeof(device->id));
    sh_db_bind_int(stmt, 2, device->relation);
    sh_db_bind_text(stmt, 3, device->name, sizeof(device->name) - 1);
    sh_db_bind_int(stmt, 4, device->kind);
    sh_db_bind_text(stmt, 5, device->eid, sizeof(device->eid) - 1);
    sh_db_bind_int(stmt, 6, device->state);
    sh_db_bind_int(stmt, 7, device->linked_at);
    sh_db_bind_int(stmt, 8, device->last_seen);
    sh_db_bind_blob(stmt, 9, device->serial, sizeof(device->serial));
    sh_db_bind_int(stmt, 10, device->not_after);
    sh_db_bind_int(stmt, 11, (int64_t)device->epoch);
    sh_db_bind_int(stmt, 12, (int64_t)device->last_revision);
    sh_db_bind_blob(stmt, 13, device->public_key, device->public_key_len);
    sh_db_bind_blob(stmt, 14, device->token, device->token_len);
    sh_db_bind_blob(stmt, 15, device->ca, device->ca_len);
    sh_db_bind_blob(stmt, 16, device->resolving_key, sizeof(device->resolving_key));
    sh_db_bind_double(stmt, 17, device->metres);
    sh_db_bind_int(stmt, 18, device->proximity_samples);
    sh_db_bind_double(stmt, 19, device->score_db);
    sh_db_bind_double(stmt, 20, device->spread_db);
    sh_db_bind_double(stmt, 21, device->rate_hz);
    sh_db_bind_int(stmt, 22, (int64_t)device->level);
    sh_db_bind_int(stmt, 23, (int64_t)device->policy);
}

static bool known_state(int64_t state)
{
    return state >= SH_DEVICE_PENDING && state <= SH_DEVICE_REVOKED;
}

static bool known_relation(int64_t relation)
{
    return relation == SH_DEVICE_IS_ANCHOR || relation == SH_DEVICE_IS_SECONDARY;
}

static double double_or_nan(sqlite3_stmt *stmt, int column)
{
    bool none = sqlite3_column_type(stmt, column) == SQLITE_NULL;
    return none ? (double)NAN : sqlite3_column_double(stmt, column);
}

static bool read_device(sqlite3_stmt *stmt, struct sh_device *device)
{
    int64_t relation = sqlite3_column_int64(stmt, 1);
    int64_t state = sqlite3_column_int64(stmt, 5);
    int64_t level = sqlite3_column_int64(stmt, 21), policy = sqlite3_column_int64(stmt, 22);
    *device = (struct sh_device){
        .relation = (enum sh_device_relation)relation,
        .kind = sqlite3_column_int(stmt, 3),
        .state = (enum sh_device_state)state,
        .linked_at = sqlite3_column_int64(stmt, 6),
        .last_seen = sqlite3_column_int64(stmt, 7),
        .not_after = sqlite3_column_int64(stmt, 9),
        .epoch = (uint64_t)sqlite3_column_int64(stmt, 10),
        .last_revision = (uint64_t)sqlite3_column_int64(stmt, 11),
        .metres = double_or_nan(stmt, 16),
        .proximity_samples = (unsigned)sqlite3_column_int64(stmt, 17),
        .score_db = double_or_nan(stmt, 18),
        .spread_db = double_or_nan(stmt, 19),
        .rate_hz = double_or_nan(stmt, 20),
        .level = (enum sh_level_kind)level,
        .policy = (enum sh_proximity_policy)policy,
    };
    return known_relation(relation) && known_state(state) && level >= SH_LEVEL_ASSUMED &&
           level <= SH_LEVEL_CALIBRATED && policy >= SH_POLICY_NORMAL && policy <= SH_POLICY_OFF &&
           sh_db_blob_exact(stmt, 0, device->id, sizeof(device->id)) &&
           sh_db_text(stmt, 2, device->name, sizeof(device->name)) &&
           sh_db_text(stmt, 4, device->eid, sizeof(device->eid)) &&
           sh_db_blob_exact(stmt, 8, device->serial, sizeof(device->serial)) &&
           sh_db_blob(stmt, 12, device->public_key, sizeof(device->public_key),
                      &device->public_key_len) &&
           sh_db_blob(stmt, 13, device->token, sizeof(device->token), &device->token_len) &&
           sh_db_blob(stmt, 14, device->ca, sizeof(device->ca), &device->ca_len) &&
           sh_db_blob_exact(stmt, 15, device->resolving_key, sizeof(device->resolving_key));
}

enum sh_cause sh_registry_put_device(struct sh_registry *registry, const struct sh_device *device)
{
    if (!known_relation(device->relation) || !known_state(device->state) ||
        device->public_key_len > sizeof(device->public_key) ||
        device->token_len > sizeof(device->token) || device->ca_len > sizeof(device->ca))
        return sh_fail(SH_INTERNAL_BUG, "a device that cannot be kept");
    sh_autostmt sqlite3_stmt *stmt = NULL;
    SH_TRY(sh_db_prepare(registry,
                         "INSERT OR REPLACE INTO devices (" COLUMNS ")"
                         " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                         &stmt));
    bind_device(stmt, device);
    return sh_db_run(registry, stmt);
}

static void bind_key(sqlite3_stmt *stmt, const uint8_t id[SH_DEVICE_ID_SIZE],
                     enum sh_device_relation relation)
{
    sh_db_bind_blob(stmt, 1, id, SH_DEVICE_ID_SIZE);
    sh_db_bind_int(stmt, 2, relation);
}

enum sh_cause sh_registry_get_device(struct sh_registry *registry,
                                     const uint8_t id[SH_DEVICE_ID_SIZE],
                                     enum sh_device_relation relation, struct sh_device *ret_device)
{
    bool row = false;
    if (!registry->device_by_id) /* an anchor asks for each who dials */
        SH_TRY(sh_db_prepare(registry,
                             "SELECT " COLUMNS " FROM devices WHERE id = ? AND relation = ?",
                             &registry->device_by_id));
    sh_keptstmt sqlite3_stmt *stmt = registry->device_by_id;
    bind_key(stmt, id, relation);
    SH_TRY(sh_db_step(registry, stmt, &row));
    if (!row)
        return SH_LINKED_UNKNOWN;
    sh_autofree struct sh_device *device = malloc(sizeof(*device));
    if (!device)
        return SH_ENV_NO_MEMORY;
    if (!read_device(stmt, device))
        return sh_db_damaged(registry, "devices");
    *ret_device = *device;
    return SH_OK;
}

/* Room for one more; doubles. */
static bool grow(struct sh_device **devices, size_t count, size_t *room)
{
    if (count < *room)
        return true;
    size_t more = *room > 0 ? 2 * *room : 8;
    struct sh_device *larger = realloc(*devices, more * sizeof(*larger));
    if (!larger)
        return false;
    *devices = larger;
    *room = more;
    return true;
}

enum sh_cause sh_registry_list_devices(struct sh_registry *registry, int64_t now,
                                       struct sh_device **ret_devices, size_t *ret_count)
{
    SH_TRY(sh_registry_settle(registry));
    sh_autostmt sqlite3_stmt *stmt = NULL;
    sh_autofree struct sh_device *devices = NULL;
    size_t count = 0;
    size_t room = 0;
    SH_TRY(sh_db_prepare(registry,
                         "SELECT " COLUMNS " FROM devices"
                         " ORDER BY last_seen DESC, id, relation LIMIT ?",
                         &stmt));
    sh_db_bind_int(stmt, 1, DEVICES_MAX);
    for (;;) {
        bool row = false;
        SH_TRY(sh_db_step(registry, stmt, &row));
        if (!row)
            break;
        if (!grow(&devices, count, &room))
            return SH_ENV_NO_MEMORY;
        struct sh_device *device = &devices[count];
        if (!read_device(stmt, device))
            return sh_db_damaged(registry, "devices");
        if (device->state == SH_DEVICE_AUTHORISED && device->not_after < now)
            device->state = SH_DEVICE_EXPIRED;
        count++;
    }
    *ret_devices = devices;
    *ret_count = count;
    devices = NULL;
    return SH_OK;
}

/* Sets one column of one device; linked.unknown when there is none. */
static enum sh_cause update(struct sh_registry *registry, const char *sql,
                            const uint8_t id[SH_DEVICE_ID_SIZE], enum sh_device_relation relation,
                            int64_t value)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    bool row = false;
    SH_TRY(sh_db_prepare(registry, sql, &stmt));
    bind_key(stmt, id, relation);
    sh_db_bind_int(stmt, 3, value);
    SH_TRY(sh_db_step(registry, stmt, &row));
    if (!row)
        return SH_LINKED_UNKNOWN;
    /* RETURNING gives its row first; the statement is done, and durable, at its end. */
    return sh_db_run(registry, stmt);
}

void sh_registry_seen(struct sh_registry *registry, const uint8_t id[SH_DEVICE_ID_SIZE],
                      enum sh_device_relation relation, int64_t now)
{
    if (registry->seen_count == SH_SEEN_MAX && sh_registry_settle(registry) != SH_OK)
        sh_log("registry: who was seen last: %s", sh_detail());
    if (registry->seen_count == SH_SEEN_MAX)
        return;
    struct sh_seen *seen = &registry->seen[registry->seen_count++];
    *seen = (struct sh_seen){.relation = relation, .time = now};
    memcpy(seen->id, id, sizeof(seen->id));
}

static enum sh_cause write_seen(struct sh_registry *registry)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    SH_TRY(sh_db_prepare(
        registry, "UPDATE devices SET last_seen = ?3 WHERE id = ?1 AND relation = ?2", &stmt));
    for (unsigned i = 0; i < registry->seen_count; i++) {
        bind_key(stmt, registry->seen[i].id, registry->seen[i].relation);
        sh_db_bind_int(stmt, 3, registry->seen[i].time);
        SH_TRY(sh_db_run(registry, stmt));
        sqlite3_reset(stmt);
    }
    return SH_OK;
}

/* Nothing is waited for: that it was lost with the power harms nobody, and the loop of an anchor stands still meanwhile. */
enum sh_cause sh_registry_settle(struct sh_registry *registry)
{
    if (registry->seen_count == 0 || !sqlite3_get_autocommit(registry->db))
        return SH_OK;
    enum sh_cause cause = sh_db_exec(registry, "PRAGMA synchronous = NORMAL");
    if (cause == SH_OK)
        cause = sh_db_begin(registry);
    if (cause == SH_OK)
        cause = sh_db_end(registry, write_seen(registry));
    registry->seen_count = 0;
    enum sh_cause usual = sh_db_exec(registry, "PRAGMA synchronous = FULL");
    return cause != SH_OK ? cause : usual;
}

enum sh_cause sh_registry_set_state(struct sh_registry *registry,
                                    const uint8_t id[SH_DEVICE_ID_SIZE],
                                    enum sh_device_relation relation, enum sh_device_state state)
{
    if (!known_state(state))
        return sh_fail(SH_INTERNAL_BUG, "state %d", (int)state);
    return update(registry,
                  "UPDATE devices SET state = ?3 WHERE id = ?1 AND relation = ?2 RETURNING 1", id,
                  relation, state);
}

enum sh_cause sh_registry_set_last_revision(struct sh_registry *registry,
                                            const uint8_t id[SH_DEVICE_ID_SIZE],
                                            enum sh_device_relation relation, uint64_t revision)
{
    return update(
        registry,
        "UPDATE devices SET last_revision = ?3 WHERE id = ?1 AND relation = ?2 RETURNING 1", id,
        relation, (int64_t)revision);
}
