"""`tongdai demo`: a campaign of real SIP calls to simulated people, start to finish.

    people     who is called, and how each of them takes a call
    phone      a pyVoIP phone that can be called by a carrier in a hurry
    acts       what a person does with a ringing phone
    phones     a process full of phones
    carrier    a process: registrar and proxy between Tongdai's trunk and the phones
    diary      what each of them did, written as it happens
    check      the diaries beside Tongdai's own records
    show       the whole demonstration

The carrier and the phones are processes of their own: what they did is known from their diaries
alone, and nothing of Tongdai's memory is within their reach.
"""
