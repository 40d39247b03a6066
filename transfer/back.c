/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/back.h"

#include <string.h>

#include "transfer/tcp.h"

/* ---- Secondary: the door ---- */

void sh_back_offers(struct sh_back *back, bool calls, bool addresses)
{
    back->calls = calls;
    back->addresses = addresses;
    back->spent = false;
    back->wanted = back->wanted || !addresses;
}

void sh_back_dials(struct sh_back *back, sh_ms now)
{
    if (back->dialling == 0)
        back->dialling = now;
}

/* That way works as far as this; what fails behind it would fail the other way round, too. */
void sh_back_connected(struct sh_back *back)
{
    back->dialling = 0;
    back->wanted = false;
}

void sh_back_refused(struct sh_back *back)
{
    back->dialling = 0;
    back->wanted = true;
}

void sh_back_up(struct sh_back *back)
{
    back->up = true;
    back->wanted = false;
    back->dialling = 0;
}

void sh_back_down(struct sh_back *back)
{
    back->up = false;
    back->spent = false;
    back->wanted = !back->addresses;
}

void sh_back_changed(struct sh_back *back)
{
    back->spent = false;
}

static void shut(struct sh_back *back, sh_ms now)
{
    back->until = 0;
    back->rests = now + (sh_ms)SH_BACKOFF_MS * back->opened;
}

static bool may_open(const struct sh_back *back)
{
    return back->calls && back->wanted && !back->spent && !back->up && back->opened < SH_BACK_SETS;
}

enum sh_back_step sh_back_tick(struct sh_back *back, sh_ms now)
{
    if (back->dialling > 0 && now >= back->dialling + SH_BACK_HUNG_MS)
        sh_back_refused(back);
    if (back->until > 0) {
        if (!back->up && back->calls && now < back->until)
            return SH_BACK_STAYS;
        shut(back, now);
        return SH_BACK_CLOSES;
    }
    if (!may_open(back) || now < back->rests)
        return SH_BACK_STAYS;
    back->spent = true;
    back->wanted = false;
    back->opened++;
    back->until = now + SH_BACK_OPEN_MS;
    return SH_BACK_OPENS;
}

void sh_back_give_up(struct sh_back *back, sh_ms now)
{
    if (back->until > 0)
        shut(back, now);
}

bool sh_back_is_open(const struct sh_back *back)
{
    return back->until > 0;
}

bool sh_back_hopes(const struct sh_back *back)
{
    return back->until > 0 || may_open(back);
}

/* ---- Anchor: what is called ---- */

static bool is_listed(const Simhop__LinkOffer *own, const ProtobufCBinaryData *address)
{
    for (size_t i = 0; own && i < own->n_addresses; i++) {
        if (own->addresses[i].len == address->len &&
            memcmp(own->addresses[i].data, address->data, address->len) == 0)
            return true;
    }
    return false;
}

static bool has_only_loopback(const Simhop__LinkOffer *own)
{
    for (size_t i = 0; own && i < own->n_addresses; i++) {
        if (!sh_lan_is_loopback(own->addresses[i].data, own->addresses[i].len))
            return false;
    }
    return own && own->n_addresses > 0;
}

/* A broadcast address of one of our networks looks like any other; the kernel does not connect to one (tcp(7): ENETUNREACH). */
static bool may_be_called(const ProtobufCBinaryData *address, const Simhop__LinkOffer *own,
                          bool here)
{
    if (here && sh_lan_is_loopback(address->data, address->len))
        return true;
    return sh_lan_is_usable(address->data, address->len) && (here || !is_listed(own, address));
}

enum sh_cause sh_back_read(const Simhop__LinkOffers *offers, const Simhop__LinkOffer *own,
                           bool here, struct sh_back_offer *ret)
{
    *ret = (struct sh_back_offer){.base = SIMHOP__LINK_OFFER__INIT};
    ret->base.kind = SIMHOP__LINK_KIND__LINK_KIND_LAN;
    here = here || has_only_loopback(own);
    for (size_t i = 0; i < offers->n_offers; i++) {
        const Simhop__LinkOffer *offer = offers->offers[i];
        if (offer->kind != SIMHOP__LINK_KIND__LINK_KIND_LAN)
            continue;
        SH_TRY(sh_ladder_check_offer(offer));
        ret->base.port = offer->port;
        ret->base.n_addresses = 0;
        for (size_t at = 0; at < offer->n_addresses && ret->base.n_addresses < SH_BACK_ADDRESSES;
             at++) {
            if (may_be_called(&offer->addresses[at], own, here))
                ret->addresses[ret->base.n_addresses++] = offer->addresses[at];
        }
    }
    ret->base.addresses = ret->addresses;
    return SH_OK;
}
