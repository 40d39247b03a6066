/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The other direction of the link `lan`, an engine: where the secondary's calls do not come through, most often because the anchor's
 * firewall keeps out what is new, the secondary opens a door (a listener) and tells the anchor where, over the link that works; the
 * anchor calls. When to open it and when to close it is decided here, and what of an offer may be called at all.
 *
 * The door is opened when the attempts failed to connect or have hung for SH_BACK_HUNG_MS, or at once where the anchor offers no address;
 * once for each time that something changed: an offer, an address, a link that went down. It is open for SH_BACK_OPEN_MS at
 * most, which is enough for two rounds of the anchor's, or for its calls with ever smaller segments (ladder.h), and not when the
 * link is up. It rests between two times, and SH_BACK_SETS times are all.
 */
#ifndef SIMHOP_TRANSFER_BACK_H
#define SIMHOP_TRANSFER_BACK_H

#include "transfer/ladder.h"

#define SH_BACK_HUNG_MS   1000
#define SH_BACK_OPEN_MS   10000
#define SH_BACK_ROUNDS    2 /* of the anchor's calls */
#define SH_BACK_ADDRESSES 8 /* that it calls of one offer */
#define SH_BACK_SETS      8 /* offers of one session that it follows */
#define SH_BACK_GUESTS    4 /* at the door at once, before they have shown the key */

/* Zeroed before. */
struct sh_back {
    bool calls;     /* the anchor does */
    bool addresses; /* it offers some for our own attempts */
    bool wanted;    /* there is a reason to open the door */
    bool spent;     /* it was opened for that, nothing has changed since */
    bool up;
    sh_ms dialling; /* nothing has been connected since then; 0: nothing is dialled */
    sh_ms until;    /* it is open; 0: it is not */
    sh_ms rests;
    unsigned opened; /* so often */
};

enum sh_back_step { SH_BACK_STAYS, SH_BACK_OPENS, SH_BACK_CLOSES };

/* The anchor's offers are here. */
void sh_back_offers(struct sh_back *back, bool calls, bool addresses);
/* An attempt of ours began, is connected; the last one that was under way failed to connect. */
void sh_back_dials(struct sh_back *back, sh_ms now);
void sh_back_connected(struct sh_back *back);
void sh_back_refused(struct sh_back *back);
/* The link is up, by whichever direction; went down; an address of this machine came or went. */
void sh_back_up(struct sh_back *back);
void sh_back_down(struct sh_back *back);
void sh_back_changed(struct sh_back *back);
/* What is to be done with the door now. */
enum sh_back_step sh_back_tick(struct sh_back *back, sh_ms now);
/* The door could not be opened, or is of no use. */
void sh_back_give_up(struct sh_back *back, sh_ms now);
bool sh_back_is_open(const struct sh_back *back);
/* Is it open, or about to be? */
bool sh_back_hopes(const struct sh_back *back);

/* ---- Anchor ---- */

/* Points into what it was read from. */
struct sh_back_offer {
    Simhop__LinkOffer base;
    ProtobufCBinaryData addresses[SH_BACK_ADDRESSES];
};

/* What of the secondary's offers is called: of the last one of kind LAN the first addresses that another device may mean
 * something by; base.n_addresses is 0 if there is none. Not this machine's own (own: what it offers itself, NULL = nothing), nor loopback,
 * unless both ends are on this machine: `here`, or it has nothing but loopback. Other kinds are passed over. Fails with
 * proto.malformed as sh_ladder_offers does. */
SH_MUST_USE enum sh_cause sh_back_read(const Simhop__LinkOffers *offers,
                                       const Simhop__LinkOffer *own, bool here,
                                       struct sh_back_offer *ret);

#endif
