"""A PN532 without silicon: host frames in and out, a field on one side, an antenna on the other.

`chip.Pn532` is the chip. What it does is what the two drivers that are in use, nfcpy's and
libnfc's, can see of firmware 1.6: the manual is UM0701-02 (general knowledge, grade K, checked
against both drivers), and the names of commands, parameters and bits are the manual's.

Not here: cards of type B, FeliCa and Jewel, which are polled for and never found; NFC-DEP beyond
ATR_REQ, which reaches the host as a raw frame; MIFARE's Crypto1; NAD and CID in blocks, whatever
SetParameters says; the security module and the battery modes that go with it; I2C, SPI and the
interrupt line; RFRegulationTest.
"""
