/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/heard.h"

#include <string.h>

void sh_heard_add(struct sh_heard_ids *heard, const uint8_t id[SH_ROTATING_ID_SIZE], int dbm)
{
    for (size_t i = 0; i < heard->count; i++) {
        struct sh_heard_id *known = &heard->ids[i];
        if (memcmp(known->id, id, sizeof(known->id)) == 0) {
            known->dbm = SH_MAX(known->dbm, dbm);
            return;
        }
    }
    if (heard->count == SH_HEARD_MAX)
        memmove(heard->ids, heard->ids + 1, --heard->count * sizeof(heard->ids[0]));
    struct sh_heard_id *place = &heard->ids[heard->count++];
    memcpy(place->id, id, sizeof(place->id));
    place->dbm = dbm;
}

void sh_sent_add(struct sh_sent_ids *sent, const uint8_t id[SH_ROTATING_ID_SIZE], int power_db,
                 sh_ms now)
{
    if (sent->count > 0)
        sent->ids[(sent->count - 1) % SH_SENT_MAX].until = now + SH_SENT_MS;
    struct sh_sent_id *place = &sent->ids[sent->count++ % SH_SENT_MAX];
    *place = (struct sh_sent_id){.power_db = power_db, .until = SH_NEVER};
    memcpy(place->id, id, sizeof(place->id));
}

void sh_sent_as_usual(struct sh_sent_ids *sent)
{
    for (size_t i = 0; i < SH_SENT_MAX; i++)
        sent->ids[i].power_db = 0;
}

size_t sh_sent_stepped(const struct sh_sent_ids *sent, sh_ms now,
                       struct sh_heard_id out[SH_SENT_MAX])
{
    bool lowered = false;
    size_t n = 0;
    for (size_t i = 0; i < SH_MIN(sent->count, (size_t)SH_SENT_MAX); i++) {
        const struct sh_sent_id *id = &sent->ids[i];
        if (now >= id->until)
            continue;
        memcpy(out[n].id, id->id, sizeof(out[n].id));
        out[n++].dbm = id->power_db;
        lowered = lowered || id->power_db < 0;
    }
    return lowered ? n : 0;
}
