"""Having an archive send series: by C-MOVE or C-GET, or fetched by WADO-RS.

archive      What is asked of an archive, and an archive that is asked by DIMSE
fetcher      FETCH jobs: what a lost node alone had is asked of the archive again
keeping      Instances that this process itself fetches, into the files and the index of the node
open_hours   Waiting until an archive may be asked, at the hours that a person gave
run          From what a person or a job asks for to the series of an archive, each pulled
steps        One series: what is here is not asked for again, what fails is, within the rate
web_archive  An archive that is asked by DICOMweb: QIDO-RS and WADO-RS
web_query    Queries of a DICOMweb server by QIDO-RS, page by page
"""
