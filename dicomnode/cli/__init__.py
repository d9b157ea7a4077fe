"""The command line; nothing else of the node imports it.

views/          What the commands show: rows and outcomes as tables, text or JSON
audit           `dicomnode audit`: who did what, and the flight records of analyses
backup          `dicomnode backup` and `dicomnode restore`
campaign        `dicomnode campaign`: working through an archive beside the clinical work
campaign_create  `dicomnode campaign create`: what a person wishes becomes a plan
common          What the commands share: options, the configuration file, and how they print
config          `dicomnode config`: what holds, what is wrong with it, taking it over
commission      `dicomnode commission`: a go-live test of each destination, a sheet to sign
conformance     `dicomnode conformance`: the DICOM conformance statement, to standard output
database        `dicomnode database`: taken elsewhere, begun anew; a lost node forgotten
deliveries      `dicomnode deliveries`: what waits for which destination; trying again, dropping
grammar         The grammar of the command line: order, an example of each command, exit statuses
main            The command line: `dicomnode demo | serve | process | queue | results | …`
model           `dicomnode model`: the bundles of weights
model_evaluate  `dicomnode model evaluate`: how good a bundle is, on labelled scans
model_package   `dicomnode model package`: the command line of a training's last step
model_simulate  `dicomnode model simulate`: labelled scans with simulated lesions
model_train     `dicomnode model train`: the command line of a training
pull            `dicomnode pull`: having the archive send studies, series, earlier CT
queue           `dicomnode queue`: what is where, and why
queue_actions   `dicomnode queue retry | cancel | hold | release | first`: stopping, starting work
replay          `dicomnode replay`: a series analysed again, compared with its flight record
results         `dicomnode results`: sending them again, renewing, withdrawing and undoing it
status          `dicomnode status`: how the node fares, and what to do about its troubles
worker          `dicomnode worker`: analysing on a host that has only database and object store
workers         `dicomnode workers`: placing workers on a Ray cluster
"""
