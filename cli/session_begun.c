/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The list of what began to arrive: written before the first leaf is, and corrected by what the folder really holds when the
 * session is over, so that a kill in between leaves a line too many rather than pieces that nobody knows of.
 */
#include <string.h>

#include "cli/session_internal.h"
#include "proto/log.h"
#include "transfer/leaf.h"
#include "transfer/store_list.h"

static bool is_listed(const struct sh_puller_item *item)
{
    return item->kind == SIMHOP__ITEM_KIND__ITEM_KIND_FILE && sh_leaf_count(item->size) > 1;
}

static enum sh_cause put(struct sh_session *s, const struct sh_puller_item *item)
{
    struct sh_transfer row = {.kind = item->kind, .size = item->size};
    row.begun = row.touched = sh_session_wall(s);
    memcpy(row.item_id, item->id, sizeof(row.item_id));
    memcpy(row.anchor_id, s->peer.id, sizeof(row.anchor_id));
    if (!sh_strcopy(row.name, sizeof(row.name), item->name) ||
        !sh_strcopy(row.dir, sizeof(row.dir), s->config.dir))
        return SH_OK; /* too long to be named to a person; the next sync goes on all the same */
    return sh_registry_put_transfer(s->config.registry, &row);
}

static void end_batch(struct sh_session *s, enum sh_cause cause)
{
    cause = sh_registry_batch_end(s->config.registry, cause);
    if (cause != SH_OK)
        sh_log("session: the list of begun transfers: %s: %s", sh_cause_info(cause)->name,
               sh_detail());
}

void sh_session_note_begun(struct sh_session *s)
{
    if (!s->unlisted)
        return;
    s->unlisted = false;
    enum sh_cause cause = sh_registry_batch_begin(s->config.registry);
    if (cause != SH_OK) {
        sh_log("session: the list of begun transfers: %s", sh_detail());
        return;
    }
    for (size_t i = 0; i < sh_puller_item_count(s->puller) && cause == SH_OK; i++) {
        const struct sh_puller_item *item = sh_puller_item(s->puller, i);
        if (is_listed(item) && !item->path)
            cause = put(s, item);
    }
    end_batch(s, cause);
}

static enum sh_cause correct(struct sh_session *s, const struct sh_puller_item *item)
{
    struct sh_store_look look = {0};
    SH_TRY(sh_store_look(s->config.dir, item->id, item->size, &look));
    if (look.verified == 0)
        return sh_registry_remove_transfer(s->config.registry, item->id, s->config.dir);
    s->held.items++;
    s->held.verified += look.verified;
    s->held.total += item->size;
    return put(s, item);
}

void sh_session_note_held(struct sh_session *s)
{
    char detail[256];
    memcpy(s->held.anchor_id, s->peer.id, sizeof(s->held.anchor_id));
    bool kept = sh_strcopy(detail, sizeof(detail), sh_detail());
    sh_puller_leave(s->puller); /* what is on its way to the disk is held, too */
    enum sh_cause cause = SH_OK;
    bool batch = sh_registry_batch_begin(s->config.registry) == SH_OK;
    for (size_t i = 0; batch && i < sh_puller_item_count(s->puller) && cause == SH_OK; i++) {
        const struct sh_puller_item *item = sh_puller_item(s->puller, i);
        if (is_listed(item))
            cause = correct(s, item);
    }
    if (batch)
        end_batch(s, cause);
    sh_detail_clear();
    if (kept && detail[0]) /* that of the end, which is still to be told */
        sh_fail(s->end_cause, "%s", detail);
}
