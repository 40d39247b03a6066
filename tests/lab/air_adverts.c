/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "air_internal.h"

#include <string.h>

#include "pairing/advert.h"
#include "pairing/air.h"

#define SLOT_US       625 /* unit of intervals and windows */
#define JITTER_MS     10  /* advDelay, vol 6 part B section 4.4.2.2 */
#define NOISE_GARBAGE 10  /* octets that fit behind flags and UUID */

static void parameters(struct advertiser *adv, struct cursor in)
{
    uint16_t shortest = take_u16(&in);
    take_u16(&in);
    uint8_t type = take_u8(&in);
    uint8_t own_type = take_u8(&in);
    struct address direct = take_address(&in);
    if (in.bad)
        return;
    adv->interval_ms = SH_MAX(1u, shortest * SLOT_US / 1000u);
    adv->type = type;
    adv->own_type = own_type;
    adv->direct = direct;
}

static void data(struct cursor in, uint8_t out[ADV_DATA_MAX], uint8_t *ret_n)
{
    uint8_t n = take_u8(&in);
    const uint8_t *p = n <= ADV_DATA_MAX ? take(&in, n) : NULL;
    if (!p)
        return;
    memcpy(out, p, n);
    *ret_n = n;
}

static void scan_parameters(struct scanner *scan, struct cursor in)
{
    bool active = take_u8(&in) == 1;
    uint16_t interval = take_u16(&in);
    uint16_t window = take_u16(&in);
    uint8_t own_type = take_u8(&in);
    uint8_t filter = take_u8(&in);
    if (in.bad || interval == 0)
        return;
    scan->active = active;
    scan->duty = (double)window / (double)interval;
    scan->own_type = own_type;
    scan->accept_list_only = filter & 1;
}

static unsigned accept_list_find(const struct controller *c, const struct address *address)
{
    unsigned i = 0;
    while (i < c->accept_list_n && !same_address(&c->accept_list[i], address))
        i++;
    return i;
}

static void accept_list(struct controller *c, struct cursor in, bool add)
{
    struct address address = take_address(&in);
    unsigned i = accept_list_find(c, &address);
    if (in.bad)
        return;
    if (add && i == c->accept_list_n && i < ACCEPT_LIST_MAX)
        c->accept_list[c->accept_list_n++] = address;
    else if (!add && i < c->accept_list_n)
        c->accept_list[i] = c->accept_list[--c->accept_list_n];
}

bool air_adverts_command(struct air_hci *air, unsigned c, uint16_t op, struct cursor in, sh_ms now)
{
    struct controller *self = &air->controller[c];
    switch (op) {
    case OP_LE_SET_RANDOM_ADDRESS: {
        const uint8_t *p = take(&in, sizeof(self->random_address.octets));
        if (p) {
            self->random_address.type = 1;
            memcpy(self->random_address.octets, p, sizeof(self->random_address.octets));
        }
        return true;
    }
    case OP_LE_ADV_PARAMETERS:
        parameters(&self->adv, in);
        return true;
    case OP_LE_ADV_DATA:
        data(in, self->adv.data, &self->adv.data_n);
        return true;
    case OP_LE_SCAN_RESPONSE:
        data(in, self->adv.response, &self->adv.response_n);
        return true;
    case OP_LE_ADV_ENABLE:
        self->adv.on = take_u8(&in) == 1;
        self->adv.due = now;
        return true;
    case OP_LE_SCAN_PARAMETERS:
        scan_parameters(&self->scan, in);
        return true;
    case OP_LE_SCAN_ENABLE:
        self->scan.on = take_u8(&in) == 1;
        self->scan.filter_duplicates = take_u8(&in) == 1;
        self->scan.seen_n = 0;
        return true;
    case OP_LE_CLEAR_ACCEPT_LIST:
        self->accept_list_n = 0;
        return true;
    case OP_LE_ADD_ACCEPT_LIST:
    case OP_LE_REMOVE_ACCEPT_LIST:
        accept_list(self, in, op == OP_LE_ADD_ACCEPT_LIST);
        return true;
    default:
        return false;
    }
}

/* LE Advertising Report, part E section 7.7.65.2. */
static void report(struct air_hci *air, unsigned c, uint8_t type, const struct address *from,
                   struct sh_bytes payload, int dbm)
{
    uint8_t packet[3 + 11 + ADV_DATA_MAX + 1];
    size_t n = 0;
    packet[n++] = H4_EVENT;
    packet[n++] = EVENT_LE;
    packet[n++] = (uint8_t)(1 + 1 + 1 + 1 + 6 + 1 + payload.n + 1);
    packet[n++] = LE_REPORT;
    packet[n++] = 1;
    packet[n++] = type;
    packet[n++] = from->type;
    memcpy(packet + n, from->octets, sizeof(from->octets));
    n += sizeof(from->octets);
    packet[n++] = (uint8_t)payload.n;
    if (payload.n > 0)
        memcpy(packet + n, payload.p, payload.n);
    n += payload.n;
    packet[n++] = (uint8_t)(int8_t)dbm;
    air_to_host(air, c, packet, n);
}

/* Whether a filter of duplicates has passed this before. */
static bool seen_before(struct scanner *scan, uint8_t type, const struct address *from,
                        struct sh_bytes payload)
{
    uint64_t hash = sh_air_hash(type, from->type);
    for (size_t i = 0; i < sizeof(from->octets); i++)
        hash = sh_air_hash(hash, from->octets[i]);
    for (size_t i = 0; i < payload.n; i++)
        hash = sh_air_hash(hash, payload.p[i]);
    for (unsigned i = 0; i < SH_MIN(scan->seen_n, (unsigned)SEEN_MAX); i++) {
        if (scan->seen[i] == hash)
            return true;
    }
    scan->seen[scan->seen_n++ % SEEN_MAX] = hash;
    return false;
}

static void deliver(struct air_hci *air, unsigned c, uint8_t type, const struct address *from,
                    struct sh_bytes payload, int dbm)
{
    struct controller *self = &air->controller[c];
    struct scanner *scan = &self->scan;
    if (!scan->on ||
        (scan->accept_list_only && accept_list_find(self, from) == self->accept_list_n))
        return;
    if (scan->filter_duplicates && air->settings.strict_duplicates &&
        seen_before(scan, type, from, payload))
        return;
    report(air, c, type, from, payload, dbm);
}

static bool is_directed(const struct advertiser *adv)
{
    return adv->type == ADV_DIRECT || adv->type == ADV_DIRECT_LOW;
}

/* One advertising event, at one that may hear it. */
static void advertise_to(struct air_hci *air, unsigned a, unsigned c, uint64_t number)
{
    const struct advertiser *adv = &air->controller[a].adv;
    struct controller *self = &air->controller[c];
    struct address from = air_own_address(&air->controller[a], adv->own_type);
    struct address to = air_own_address(self, self->scan.own_type);
    if (!air->ops->in_range(a, c, air->user) || air_chance(air, air->settings.drop))
        return;
    if (self->creating && air_chance(air, self->create_duty)) {
        air_links_heard(air, c, a);
        if (!air->controller[a].adv.on)
            return;
    }
    if (!self->scan.on || !air_chance(air, self->scan.duty) ||
        (is_directed(adv) && !same_address(&adv->direct, &to)))
        return;
    int dbm = air->ops->advert_dbm(a, c, number, air->user);
    uint8_t type = adv->type == ADV_DIRECT_LOW ? ADV_DIRECT : adv->type;
    deliver(air, c, type, &from, SH_BYTES(adv->data, is_directed(adv) ? 0 : adv->data_n), dbm);
    if (self->scan.active && (adv->type == ADV_IND || adv->type == ADV_SCAN_IND))
        deliver(air, c, SCAN_RESPONSE, &from, SH_BYTES(adv->response, adv->response_n), dbm);
}

static void advertise(struct air_hci *air, unsigned a)
{
    struct advertiser *adv = &air->controller[a].adv;
    uint64_t number = adv->number++;
    if (air->settings.mute)
        return;
    for (unsigned c = 0; c < air->n && adv->on; c++) {
        if (c != a)
            advertise_to(air, a, c, number);
    }
}

/* Flags, then service data with our UUID, as pairing/advert.h has it, and up to ten octets of anything; one in eight has a
 * length that is not true. From an address that nobody has had before. */
static void noise(struct air_hci *air)
{
    uint8_t payload[ADV_DATA_MAX] = {2, 0x01, 0x06};
    uint64_t draw = air_draw(air);
    size_t garbage = draw % (NOISE_GARBAGE + 1);
    size_t n = 5 + sizeof(sh_advert_uuid);
    payload[3] = (uint8_t)(1 + sizeof(sh_advert_uuid) + garbage);
    payload[4] = 0x21;
    memcpy(payload + 5, sh_advert_uuid, sizeof(sh_advert_uuid));
    for (size_t i = 0; i < garbage; i++)
        payload[n++] = (uint8_t)air_draw(air);
    if (draw >> 8 & 1)
        payload[n - garbage] = SH_ADVERT_VERSION;
    if ((draw >> 9) % 8 == 0)
        payload[3] = (uint8_t)(draw >> 16);
    struct address from = {.type = 1};
    for (size_t i = 0; i < sizeof(from.octets); i++)
        from.octets[i] = (uint8_t)air_draw(air);
    from.octets[5] |= 0xc0; /* static random */
    for (unsigned c = 0; c < air->n; c++) {
        if (air_chance(air, air->controller[c].scan.duty))
            deliver(air, c, ADV_IND, &from, SH_BYTES(payload, n), -40 - (int)((draw >> 32) % 55));
    }
}

static sh_ms noise_tick(struct air_hci *air, sh_ms now)
{
    unsigned rate = air->settings.noise;
    if (rate == 0)
        return SH_NEVER;
    if (air->noise_from == 0) {
        air->noise_from = now;
        air->noise_done = 0;
    }
    uint64_t due = (now - air->noise_from) * rate / 1000;
    if (due - air->noise_done > rate) /* more than a second behind is not made up for */
        air->noise_done = due - rate;
    for (; air->noise_done < due; air->noise_done++)
        noise(air);
    return now + SH_MAX(1000 / rate, 1);
}

sh_ms air_adverts_tick(struct air_hci *air, sh_ms now)
{
    sh_ms next = noise_tick(air, now);
    for (unsigned a = 0; a < air->n; a++) {
        struct advertiser *adv = &air->controller[a].adv;
        if (!adv->on)
            continue;
        if (now >= adv->due) {
            unsigned interval = adv->interval_ms ? adv->interval_ms : air->settings.interval_ms;
            adv->due = now + interval + air_draw(air) % (JITTER_MS + 1);
            advertise(air, a);
        }
        next = SH_MIN(next, adv->due);
    }
    return next;
}
